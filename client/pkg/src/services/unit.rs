//! A service as a systemd unit. Pure: a descriptor's words in, the unit's text out.
//!
//! What a descriptor says is signed, but by a publisher and not by the machine's owner: it can name a program and what that needs, and nothing
//! of it can become another directive. The unit grants what was asked for and is understood, and takes everything else away.

use super::users::User;
use plyos_ids::{Kind, LayerId};
use plyos_layer_format::descriptor::{Descriptor, Service};
use std::fmt::Write;
use std::path::Path;

/// Longest name that systemd takes.
const LONGEST_NAME: usize = 255;

/// A unit, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// File name, `plyos:KIND:LAYER:SERVICE.service`.
    pub name: String,
    /// Its text. It names the layer's identity, so it differs exactly when the service has to be started anew.
    pub text: String,
    /// Capabilities for which nothing is granted, because they are not known here or not the layer's.
    pub not_granted: Vec<String>,
}

/// Why a service cannot be a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Content runs nothing.
    #[error("a {0} may have no services; a package may")]
    Kind(Kind),
    /// A program that would not be looked for where it is named.
    #[error("its program '{0}' has '.' or '..' in its path")]
    Program(String),
    /// A word for restarting that is not known.
    #[error("restart '{0}' is not known here; it may be no, on-failure or always")]
    Restart(String),
    /// A name that systemd does not take.
    #[error("the name of its unit would have more than {LONGEST_NAME} letters")]
    TooLong,
    /// A root that cannot stand in a unit.
    #[error("the root {0} is no absolute path in UTF-8")]
    Root(String),
}

/// What a capability of a service means to systemd.
#[derive(Debug, Default, Clone, Copy)]
struct Granted {
    network: bool,
    low_ports: bool,
    devices: bool,
    clock: bool,
}

impl Granted {
    /// Grants what is known; whether it is.
    fn grant(&mut self, capability: &str) -> bool {
        match capability {
            "net" | "net.listen" | "net.connect" => self.network = true,
            "net.low-ports" => (self.network, self.low_ports) = (true, true),
            "devices" => self.devices = true,
            "clock.set" => self.clock = true,
            _ => return false,
        }
        true
    }
}

/// The unit of a service of a layer, in a generation that lies at `root`. With a `base` in the generation, `root` is the service's whole file
/// system; without, the machine's own is, and the program alone comes from `root`. It runs as `user`.
pub fn unit(
    descriptor: &Descriptor,
    layer: LayerId,
    service: &Service,
    user: &User,
    root: &Path,
    base: bool,
) -> Result<Unit, UnitError> {
    if matches!(descriptor.kind(), Kind::Site | Kind::Model) {
        return Err(UnitError::Kind(descriptor.kind()));
    }
    if service.exec.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(UnitError::Program(service.exec.clone()));
    }
    let place = root.to_str().filter(|path| path.starts_with('/') && !path.contains(char::is_control));
    let place = place.ok_or_else(|| UnitError::Root(root.display().to_string()))?.trim_end_matches('/');
    let (kind, owner) = (descriptor.kind(), descriptor.name());
    let name = format!("plyos:{kind}:{}:{}.service", escaped(owner), escaped(&service.name));
    if name.len() > LONGEST_NAME {
        return Err(UnitError::TooLong);
    }
    let mut granted = Granted::default();
    let own = descriptor.capabilities();
    let not_granted =
        service.capabilities.iter().filter(|wanted| !(own.contains(wanted) && granted.grant(wanted)));
    let not_granted: Vec<String> = not_granted.cloned().collect();
    let program = if base { service.exec.clone() } else { format!("{place}{}", service.exec) };
    let words =
        std::iter::once(&program).chain(&service.args).map(|word| quoted(word)).collect::<Vec<_>>().join(" ");

    let mut text = String::new();
    let mut line = |line: &str| _ = writeln!(text, "{line}");
    line("# Written by pkg, and written anew when the layer changes: changes made here are lost.");
    line("[Unit]");
    // Their letters are none that mean anything to systemd.
    line(&format!("Description={} of {kind}/{owner} {}", service.name, descriptor.version()));
    line("PartOf=plyos-services.target");
    line("After=network.target");
    line("");
    line("[Service]");
    line("Type=exec");
    line(&format!("ExecStart={words}"));
    line(&format!("Restart={}", restart(&service.restart)?));
    line("RestartSec=1");
    if base {
        line(&format!("RootDirectory={}", specifiers(place)));
        line("MountAPIVFS=yes");
    }
    match user {
        User::Made(name) => {
            line("DynamicUser=yes");
            line(&format!("User={name}"));
        }
        User::Machine(name) => line(&format!("User={name}")),
    }
    // Not below plyos, where the store is: systemd gives the folder to the user.
    line(&format!("StateDirectory=plyos-state/{kind}/{owner}"));
    granted_lines(granted, &mut line);
    line("");
    // systemd passes over sections that begin so.
    line("[X-Plyos]");
    line(&format!("Layer={layer}"));
    Ok(Unit { name, text, not_granted })
}

/// What is granted, and what is taken away.
fn granted_lines(granted: Granted, line: &mut impl FnMut(&str)) {
    let mut powers = Vec::new();
    if granted.low_ports {
        powers.push("CAP_NET_BIND_SERVICE");
    }
    if granted.clock {
        powers.push("CAP_SYS_TIME");
    }
    let powers = powers.join(" ");
    line(&format!("CapabilityBoundingSet={powers}"));
    line(&format!("AmbientCapabilities={powers}"));
    let families = if granted.network { "AF_UNIX AF_INET AF_INET6" } else { "AF_UNIX" };
    line(&format!("RestrictAddressFamilies={families}"));
    line(&format!("PrivateNetwork={}", yes(!granted.network)));
    line(&format!("PrivateDevices={}", yes(!granted.devices)));
    line(&format!("ProtectClock={}", yes(!granted.clock)));
    for taken in [
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateTmp",
        "ProtectKernelTunables",
        "ProtectKernelModules",
        "ProtectKernelLogs",
        "ProtectControlGroups",
        "ProtectHostname",
        "RestrictSUIDSGID",
        "RestrictRealtime",
        "LockPersonality",
    ] {
        line(&format!("{taken}=yes"));
    }
    line("ProtectSystem=strict");
}

const fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn restart(word: &str) -> Result<&str, UnitError> {
    match word {
        "" => Ok("on-failure"),
        "no" | "on-failure" | "always" => Ok(word),
        other => Err(UnitError::Restart(other.to_owned())),
    }
}

/// A layer's or service's name as systemd takes it: of its letters only `+` is none of systemd's.
fn escaped(name: &str) -> String {
    name.replace('+', "\\x2b")
}

/// One word of a command line (systemd.service(5), "Command lines"): no variable, no specifier, no second word, no second line.
fn quoted(word: &str) -> String {
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '%' | '$' => out.extend([c, c]),
            c if c.is_control() => {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| _ = write!(out, "\\x{byte:02x}"))
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A path that is not taken apart into words.
fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYER: LayerId = LayerId::from_bytes([7; 32]);

    fn descriptor(capabilities: &[&str]) -> Descriptor {
        let mut out = Descriptor::new(Kind::Package, "web+", "1~2", "amd64").unwrap();
        out.set_capabilities(capabilities.iter().map(|c| (*c).to_owned()).collect()).unwrap();
        out
    }

    fn service() -> Service {
        Service { name: "httpd".to_owned(), exec: "/usr/bin/httpd".to_owned(), ..Service::default() }
    }

    fn made() -> User {
        User::Made("plyos-web".to_owned())
    }

    fn text(service: &Service, base: bool) -> String {
        unit(&descriptor(&[]), LAYER, service, &made(), Path::new("/srv/system/"), base).unwrap().text
    }

    #[test]
    fn a_program_comes_from_the_root_or_has_it_as_its_own() {
        let alone = text(&service(), false);
        assert!(alone.contains("ExecStart=\"/srv/system/usr/bin/httpd\"\n"), "{alone}");
        assert!(!alone.contains("RootDirectory"));
        let base = text(&service(), true);
        assert!(
            base.contains("ExecStart=\"/usr/bin/httpd\"\n") && base.contains("RootDirectory=/srv/system\n")
        );
    }

    #[test]
    fn it_runs_as_who_it_is_told_and_keeps_its_state_apart_from_the_store() {
        let there = |user: &User| {
            let text = unit(&descriptor(&[]), LAYER, &service(), user, Path::new("/r"), false).unwrap().text;
            let about = |line: &&str| line.contains("User") || line.starts_with("StateDirectory");
            text.lines().filter(about).map(str::to_owned).collect::<Vec<_>>()
        };
        let state = "StateDirectory=plyos-state/package/web+";
        assert_eq!(there(&made()), ["DynamicUser=yes", "User=plyos-web", state]);
        assert_eq!(there(&User::Machine("www".to_owned())), ["User=www", state]);
    }

    #[test]
    fn no_word_becomes_another_directive() {
        let args = ["a b", "\"; $HOME %h \\", "x\nExecStartPre=/bin/evil", "\u{85}é"];
        let service = Service { args: args.map(str::to_owned).to_vec(), ..service() };
        let text = text(&service, false);
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("Exec")).collect();
        assert_eq!(
            lines,
            [
                r#"ExecStart="/srv/system/usr/bin/httpd" "a b" "\"; $$HOME %%h \\" "x\x0aExecStartPre=/bin/evil" "\xc2\x85é""#
            ]
        );
    }

    #[test]
    fn names_are_those_of_systemd_and_of_one_service_only() {
        let unit = unit(&descriptor(&[]), LAYER, &service(), &made(), Path::new("/r"), false).unwrap();
        assert_eq!(unit.name, "plyos:package:web\\x2b:httpd.service");
        assert!(unit.text.contains("Description=httpd of package/web+ 1~2\n"));
    }

    #[test]
    fn what_is_asked_for_understood_and_the_layers_own_is_granted() {
        let wanted = ["net.low-ports", "devices", "fly"].map(str::to_owned).to_vec();
        let service = Service { capabilities: wanted, ..service() };
        let unit =
            |own: &[&str]| unit(&descriptor(own), LAYER, &service, &made(), Path::new("/r"), false).unwrap();
        let all = unit(&["net.low-ports", "devices", "fly"]);
        assert_eq!(all.not_granted, ["fly"]);
        for line in [
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
            "PrivateNetwork=no",
            "PrivateDevices=no",
            "ProtectClock=yes",
        ] {
            assert!(all.text.lines().any(|there| there == line), "{line}");
        }
        let none = unit(&[]);
        assert_eq!(none.not_granted, ["net.low-ports", "devices", "fly"]);
        for line in [
            "AmbientCapabilities=",
            "PrivateNetwork=yes",
            "PrivateDevices=yes",
            "RestrictAddressFamilies=AF_UNIX",
        ] {
            assert!(none.text.lines().any(|there| there == line), "{line}");
        }
    }

    #[test]
    fn another_layer_is_another_unit_and_the_same_is_the_same() {
        let text =
            |layer| unit(&descriptor(&[]), layer, &service(), &made(), Path::new("/r"), false).unwrap().text;
        assert_eq!(text(LAYER), text(LAYER));
        assert_ne!(text(LAYER), text(LayerId::from_bytes([8; 32])));
    }

    #[test]
    fn what_cannot_be_a_unit_is_refused() {
        let refused = |service: &Service| {
            unit(&descriptor(&[]), LAYER, service, &made(), Path::new("/r"), false).unwrap_err()
        };
        for exec in ["/etc/../bin/sh", "/./bin/sh", "/bin/.."] {
            let service = Service { exec: exec.to_owned(), ..service() };
            assert_eq!(refused(&service), UnitError::Program(exec.to_owned()));
        }
        for kind in [Kind::Site, Kind::Model] {
            let content = Descriptor::new(kind, "docs", "1", "any").unwrap();
            let refused = unit(&content, LAYER, &service(), &made(), Path::new("/r"), false);
            assert_eq!(refused, Err(UnitError::Kind(kind)));
        }
        let service = Service { restart: "sometimes".to_owned(), ..service() };
        assert!(matches!(refused(&service), UnitError::Restart(_)));
        let long = Service { name: "+".repeat(64), ..self::service() };
        assert_eq!(refused(&long), UnitError::TooLong);
        assert!(matches!(
            unit(&descriptor(&[]), LAYER, &self::service(), &made(), Path::new("relative"), false),
            Err(UnitError::Root(_))
        ));
        let two_lines = Path::new("/r\nUser=root");
        assert!(matches!(
            unit(&descriptor(&[]), LAYER, &self::service(), &made(), two_lines, true),
            Err(UnitError::Root(_))
        ));
    }
}
