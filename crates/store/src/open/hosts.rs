//! A `postgres://` URL: one or several hosts, and settings of the server.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use sqlx::postgres::PgConnectOptions;

use super::url::DatabaseUrlError;

/// Most hosts: each that does not answer costs whoever waits for a connection two seconds.
const MOST_HOSTS: usize = 8;

const FORM: &str = "must be postgres://USER:PASSWORD@HOST:PORT/DATABASE, with a comma between several HOST:PORT, ports from 1 to \
                    65535, and every other character in a user name, password or database name percent-encoded";

/// A URL that was read.
#[derive(Clone)]
pub(crate) struct PostgresUrl {
    /// One or more, in their order.
    pub(crate) hosts: Vec<PgConnectOptions>,
    /// Names and values of `options`.
    pub(crate) settings: Vec<(String, String)>,
}

/// Reads what follows `postgres://`. Its parameters are known to be permitted.
pub(super) fn parse(rest: &str) -> Result<PostgresUrl, DatabaseUrlError> {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let (user_info, names) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let parameters = Parameters::read(query)?;
    let hosts = if parameters.hosts.is_empty() {
        names.split(',').map(|name| (name.to_owned(), String::new())).collect()
    } else {
        parameters.named_hosts(names)?
    };
    if hosts.len() > MOST_HOSTS {
        return Err("must name 8 hosts at most".into());
    }
    if hosts.len() > 1
        && hosts.iter().any(|(name, more)| name.is_empty() || more.starts_with("host=&") || more == "host=")
    {
        return Err("has an empty name among its hosts".into());
    }
    let read = |(name, more): &(String, String)| {
        let others = &parameters.others;
        PgConnectOptions::from_str(&format!("postgres://{user_info}{name}{path}?{others}{more}"))
    };
    let hosts = hosts.iter().map(read).collect::<Result<_, _>>().map_err(|_| FORM)?;
    Ok(PostgresUrl { hosts, settings: parameters.settings })
}

/// The parameters of a URL.
#[derive(Default)]
struct Parameters {
    /// Of `host` and `port`, as they are written.
    hosts: Vec<String>,
    ports: Vec<String>,
    settings: Vec<(String, String)>,
    /// What the driver reads, with `&` behind each.
    others: String,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, DatabaseUrlError> {
        let mut found = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let list = || value.replace("%2C", ",").replace("%2c", ",").split(',').map(str::to_owned).collect();
            match name {
                "target_session_attrs" => {}
                "host" => found.hosts = list(),
                "port" => found.ports = list(),
                "options" => found.settings.extend(read_options(&decoded(value))?),
                _ => match name.strip_prefix("options[").and_then(|name| name.strip_suffix(']')) {
                    Some(setting) => found.settings.push(checked(setting, &decoded(value))?),
                    None => found.others.extend([pair, "&"]),
                },
            }
        }
        if found.hosts.is_empty() && !found.ports.is_empty() {
            found.others.extend(["port=", &found.ports.remove(0), "&"]);
        }
        Ok(found)
    }

    /// The hosts of the parameters, each with what the driver reads of it.
    fn named_hosts(&self, names: &str) -> Result<Vec<(String, String)>, DatabaseUrlError> {
        if !names.is_empty() {
            return Err("names its hosts twice: before the `/` and by `host`".into());
        }
        if self.ports.len() > 1 && self.ports.len() != self.hosts.len() {
            return Err("has another number of ports than of hosts".into());
        }
        let port = |n: usize| {
            self.ports.get(n).or(self.ports.first()).map_or_else(String::new, |port| format!("&port={port}"))
        };
        let hosts = self.hosts.iter().enumerate();
        // A URL with a user must have a host as well; the parameter wins.
        Ok(hosts.map(|(n, host)| ("localhost".to_owned(), format!("host={host}{}", port(n)))).collect())
    }
}

/// `-c NAME=VALUE` and `--NAME=VALUE`, divided by spaces; a backslash before a character takes its meaning away.
fn read_options(text: &str) -> Result<Vec<(String, String)>, DatabaseUrlError> {
    let mut settings = Vec::new();
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("-c") {
            Some("") => words.next().unwrap_or_default(),
            Some(setting) => setting.to_owned(),
            None => word.strip_prefix("--").unwrap_or_default().to_owned(),
        };
        let (name, value) = setting.split_once('=').ok_or("has `options` that are not of the form -c NAME=VALUE")?;
        settings.push(checked(&name.replace('-', "_"), value)?);
    }
    Ok(settings)
}

fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut characters) = (Vec::new(), String::new(), text.chars());
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.extend(characters.next()),
            ' ' | '\t' => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn checked(name: &str, value: &str) -> Result<(String, String), DatabaseUrlError> {
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
    if !is_name || value.contains('\0') {
        return Err("has `options` with a name that no setting has".into());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn decoded(value: &str) -> String {
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        for (n, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{}:{}", if n == 0 { "" } else { "," }, host.get_host(), host.get_port())?;
        }
        let Some(host) = self.hosts.first() else { return Ok(()) };
        write!(f, "/{}", host.get_database().unwrap_or_else(|| host.get_username()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(rest: &str) -> Result<Vec<String>, String> {
        let url = parse(rest).map_err(|error| error.to_string())?;
        Ok(url.hosts.iter().map(|host| format!("{}:{}", host.get_host(), host.get_port())).collect())
    }

    fn settings(rest: &str) -> Vec<(String, String)> {
        parse(rest).unwrap_or_else(|error| panic!("{rest}: {error}")).settings
    }

    #[test]
    fn several_hosts_are_read_in_their_order() {
        assert_eq!(
            hosts("u:p%2F@a:1,b:2,[::1]:3/d?target_session_attrs=read-write").expect("read"),
            ["a:1", "b:2", "[::1]:3"]
        );
        assert_eq!(hosts("u@/d?host=a,b&port=1,2").expect("read"), ["a:1", "b:2"]);
        assert_eq!(hosts("u@/d?host=a%2Cb&port=7").expect("read"), ["a:7", "b:7"]);
        assert_eq!(hosts("u@a/d?port=7").expect("read"), ["a:7"]);
        assert_eq!(parse("u:secret@a:1,b:2/d").expect("read").to_string(), "postgres://a:1,b:2/d");
        for bad in ["u@a,,b/d", "u@a:1,b:x/d", "u@a/d?host=b", "u@/d?host=a,b,c&port=1,2", "u@a,b,c,d,e,f,g,h,i/d"] {
            assert!(hosts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn options_are_settings() {
        let expected = [("search_path".to_owned(), "a, b".to_owned()), ("work_mem".to_owned(), "4MB".to_owned())];
        assert_eq!(settings("u@a/d?options[search_path]=a,%20b&options[work_mem]=4MB"), expected);
        assert_eq!(settings(r"u@a/d?options=-c%20search_path=a,\%20b%20--work-mem=4MB"), expected);
        assert_eq!(settings("u@a/d?options=-csearch_path=a,%5C%20b%20-c%20%20work_mem=4MB"), expected);
        for bad in ["options=x", "options=-c", "options=-c%20x", "options[a%20b]=1", "options[]=1"] {
            assert!(parse(&format!("u@a/d?{bad}")).is_err(), "{bad}");
        }
    }
}
