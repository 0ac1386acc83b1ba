//! What a request needs, from its route and its method alone.
//!
//! Reading is `GET` and `HEAD`; an upload session belongs to whoever pushes, so even asking for its state is pushing.
//! What depends on more than the route (the repository that a mount takes from) is asked of the
//! [`Caller`](super::Caller) by the handler.

use axum::http::Method;
use plyos_blobs::CatalogName;

use super::rights::{Resource, Right};
use crate::route::{Catalog, Oci};
use crate::router::is_read;

/// What has to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand<'a> {
    /// Nothing but that credentials which are given are good; without any, a server with accounts asks for them. This is
    /// how clients find out whether and where to log in.
    Login,
    /// Seeing which repositories there are. Those that may not be read are left out.
    List,
    /// A right on something.
    Right(Right, Resource<'a>),
    /// Reading a blob beside a catalog. It is found by its digest among all, so it needs reading all.
    ReadAll(Resource<'a>),
}

/// The demand of a request below `/v2/`.
pub(crate) fn of_oci<'a>(place: &'a Oci, method: &Method) -> Demand<'a> {
    match (place, place.repository()) {
        (Oci::Repositories, _) => Demand::List,
        (_, None) => Demand::Login,
        (Oci::Uploads(_) | Oci::Upload(..), Some(name)) => {
            Demand::Right(Right::Push, Resource::Repository(name.as_str()))
        }
        (_, Some(name)) => Demand::Right(by_method(method), Resource::Repository(name.as_str())),
    }
}

/// The demand of a request below `/catalog/`, for what is asked of the catalog `name`.
pub(crate) fn of_catalog<'a>(name: &'a CatalogName, place: &Catalog, method: &Method) -> Demand<'a> {
    let catalog = Resource::Catalog(name.as_str());
    match place {
        Catalog::Blob(..) if is_read(method) => Demand::ReadAll(catalog),
        _ => Demand::Right(by_method(method), catalog),
    }
}

fn by_method(method: &Method) -> Right {
    match *method {
        Method::DELETE => Right::Delete,
        ref method if is_read(method) => Right::Pull,
        _ => Right::Push,
    }
}
