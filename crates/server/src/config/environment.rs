//! Environment variables that are settings, and those that only look like them.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};

use postrider_core::spelling::nearest;

use super::error::ConfigError;
use super::sections;
use super::setting::{PREFIX, Setting, variable_of};

/// The protocols of Kubernetes' service variables.
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// What one variable sets: the setting, whether the value names a file, the variable's name, the value. `None` for a
/// variable that is not for this program.
pub(super) fn read(
    name: &OsStr,
    value: &OsStr,
) -> Result<Option<(&'static Setting, bool, String, String)>, ConfigError> {
    let name = name.to_string_lossy().into_owned();
    let Some(rest) = name.strip_prefix(PREFIX) else { return Ok(None) };
    let Some(value) = value.to_str() else { return Err(ConfigError::new(name, "is not valid UTF-8")) };
    let known = sections::all().flat_map(|setting| setting.paths().map(move |path| (setting, path)));
    let found = known.into_iter().find(|(_, path)| variable_of(path) == name);
    match found {
        Some((setting, path)) => Ok(Some((setting, path != setting.path, name, value.to_owned()))),
        None if is_service_variable(rest, value) => Ok(None),
        None => {
            let known: Vec<String> = sections::all().flat_map(Setting::paths).map(|path| variable_of(&path)).collect();
            let known = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
            let meant = nearest(rest, known);
            let hint = meant.first().map_or_else(String::new, |name| format!("; did you mean {PREFIX}{name}?"));
            Err(ConfigError::new(name, format!("is not a known setting{hint}")))
        }
    }
}

/// Whether a variable, without its prefix, is one that Kubernetes sets in every container for a service named
/// `postrider` or `postrider-…` ("service links"): `SERVICE_HOST`, `SERVICE_PORT[_NAME]`, `PORT`,
/// `PORT_80_TCP[_PROTO|_PORT|_ADDR]`, each with the value that belongs to it.
fn is_service_variable(rest: &str, value: &str) -> bool {
    // The rest of a longer service name may stand before.
    let starts = std::iter::once(0).chain(rest.match_indices('_').map(|(place, _)| place + 1));
    starts.map(|start| &rest[start..]).any(|variable| is_form_of_service(variable, value))
}

fn is_form_of_service(variable: &str, value: &str) -> bool {
    if variable == "SERVICE_HOST" {
        return is_address(value);
    }
    if let Some(port_name) = variable.strip_prefix("SERVICE_PORT") {
        return (port_name.is_empty() || port_name.starts_with('_')) && is_port(value);
    }
    if variable == "PORT" {
        return PROTOCOLS.iter().any(|protocol| is_link(protocol, value));
    }
    let Some((port, rest)) = variable.strip_prefix("PORT_").and_then(|rest| rest.split_once('_')) else { return false };
    let (protocol, part) = rest.split_once('_').unwrap_or((rest, ""));
    let has_form = match part {
        "" => is_link(protocol, value),
        "PROTO" => value == protocol.to_lowercase(),
        "PORT" => is_port(value),
        "ADDR" => is_address(value),
        _ => false,
    };
    is_port(port) && PROTOCOLS.contains(&protocol) && has_form
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// `tcp://10.0.0.1:80`, `udp://[fd00::1]:53`.
fn is_link(protocol: &str, value: &str) -> bool {
    let address = value.strip_prefix(&protocol.to_lowercase()).and_then(|rest| rest.strip_prefix("://"));
    address.is_some_and(|address| address.parse::<SocketAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &str, value: &str) -> Result<bool, String> {
        let read = read(name.as_ref(), value.as_ref());
        read.map(|found| found.is_some()).map_err(|error| error.to_string())
    }

    /// The variables of a service with such ports, as the kubelet's `envvars.go` makes them.
    fn variables_of(service: &str, address: &str, ports: &[(&str, u16, &str)]) -> Vec<(String, String)> {
        let capitals = |text: &str| text.to_uppercase().replace('-', "_");
        let (name, mut made) = (capitals(service), Vec::new());
        let bracketed = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let link = |port: u16, protocol: &str| format!("{}://{bracketed}:{port}", protocol.to_lowercase());
        made.push((format!("{name}_SERVICE_HOST"), address.to_owned()));
        made.push((format!("{name}_SERVICE_PORT"), ports[0].1.to_string()));
        made.push((format!("{name}_PORT"), link(ports[0].1, ports[0].2)));
        for (port_name, port, protocol) in ports {
            if !port_name.is_empty() {
                made.push((format!("{name}_SERVICE_PORT_{}", capitals(port_name)), port.to_string()));
            }
            let prefix = format!("{name}_PORT_{port}_{protocol}");
            made.push((prefix.clone(), link(*port, protocol)));
            made.push((format!("{prefix}_PROTO"), protocol.to_lowercase()));
            made.push((format!("{prefix}_PORT"), port.to_string()));
            made.push((format!("{prefix}_ADDR"), address.to_owned()));
        }
        made
    }

    #[test]
    fn variables_of_kubernetes_services_are_ignored() {
        let many = [("http", 8080, "TCP"), ("metrics-1", 9090, "TCP"), ("dns", 53, "UDP"), ("sig", 3868, "SCTP")];
        for (service, address, ports) in [
            ("postrider", "10.96.0.17", &[("", 80, "TCP")][..]),
            ("postrider", "fd00::17", &[("", 53, "UDP")][..]),
            ("postrider", "10.96.0.17", &many[..]),
            ("postrider-api", "10.96.0.18", &many[..]),
            ("postrider-port-80", "fd00::18", &many[..]),
            ("postrider-service-port", "10.96.0.19", &many[..]),
        ] {
            for (name, value) in variables_of(service, address, ports) {
                assert_eq!(outcome(&name, &value), Ok(false), "{name}={value}");
            }
        }
    }

    #[test]
    fn what_has_another_form_is_a_misspelt_setting() {
        for (name, value) in [
            ("POSTRIDER_PORT", "8080"),
            ("POSTRIDER_PORT", "tcp://postrider:80"),
            ("POSTRIDER_PORT_80", "tcp://10.0.0.1:80"),
            ("POSTRIDER_PORT_80_TCP", "udp://10.0.0.1:80"),
            ("POSTRIDER_PORT_80_TCP_NAME", "x"),
            ("POSTRIDER_SERVICE_HOST", "postrider"),
            ("POSTRIDER_SERVICE_PORTS", "80"),
            ("POSTRIDER_SERVICE_PORT_HTTP", "http"),
            ("POSTRIDER_LISTNE", "127.0.0.1:1"),
        ] {
            let told = outcome(name, value).expect_err(name);
            assert!(told.starts_with(&format!("{name}: is not a known setting")), "{told}");
        }
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        for (name, expected) in [
            ("POSTRIDER_LISTNE", "did you mean POSTRIDER_LISTEN?"),
            ("POSTRIDER_MASTERKEY", "did you mean POSTRIDER_MASTER_KEY?"),
            ("POSTRIDER_MASTER_KEY_FIEL", "did you mean POSTRIDER_MASTER_KEY_FILE?"),
            ("POSTRIDER_RETENTION_PAYLOAD", "did you mean POSTRIDER_RETENTION_PAYLOADS?"),
            ("POSTRIDER_DATABASE", "did you mean POSTRIDER_DATABASE_URL?"),
        ] {
            let told = outcome(name, "x").expect_err(name);
            assert!(told.ends_with(expected), "{told}");
        }
    }

    #[test]
    fn others_variables_are_not_ours_and_ours_are_utf_8() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(outcome("POSTRIDERS", "x"), Ok(false));
        let value = OsStr::from_bytes(&[0xff]);
        let told = read("POSTRIDER_LISTEN".as_ref(), value).err().map(|error| error.to_string());
        assert_eq!(told.as_deref(), Some("POSTRIDER_LISTEN: is not valid UTF-8"));
    }
}
