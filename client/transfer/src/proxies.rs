//! Proxies, as the environment names them, and never for what is on this machine.
//!
//! Plain HTTP is spoken to this machine only, which nobody on the way can listen to: through a proxy somebody could, and passwords would
//! be sent to them. So only requests over TLS, which pass a proxy as sealed tunnels, go through one.

use reqwest::{ClientBuilder, NoProxy, Proxy};

use crate::http::TransferError;

/// Who names the proxy for requests over TLS, the first of them.
const VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// Who names the hosts that no proxy is asked for.
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];
/// This machine.
const HERE: &str = "localhost,127.0.0.0/8,::1";

/// A client that goes by these proxies.
pub(crate) fn behind(client: ClientBuilder) -> Result<ClientBuilder, TransferError> {
    let client = client.no_proxy();
    let Some((variable, proxy)) = first(&VARIABLES) else { return Ok(client) };
    let proxy = Proxy::https(&proxy).map_err(|_| TransferError::Network {
        what: "setting up HTTP".to_owned(),
        // Its value may hold a password.
        cause: format!("what {variable} says is no proxy's address, such as http://proxy.example:3128"),
    })?;
    let exceptions = match first(&EXCEPTIONS) {
        Some((_, exceptions)) => format!("{exceptions},{HERE}"),
        None => HERE.to_owned(),
    };
    Ok(client.proxy(proxy.no_proxy(NoProxy::from_string(&exceptions))))
}

fn first(variables: &[&'static str]) -> Option<(&'static str, String)> {
    let set = |variable: &&'static str| Some((*variable, std::env::var(variable).ok()?));
    variables.iter().filter_map(set).find(|(_, value)| !value.is_empty())
}
