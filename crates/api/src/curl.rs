//! A request as a command that sends it again.

/// For a POSIX shell: each part is one word, whatever is in it.
pub(crate) fn curl<'a>(url: &str, headers: impl Iterator<Item = (&'a str, &'a str)>, body: &str) -> String {
    let headers = headers.map(|(name, value)| format!("-H {}", quoted(&format!("{name}: {value}"))));
    let first = format!("curl -sS -X POST {}", quoted(url));
    let last = format!("--data-binary {}", quoted(body));
    std::iter::once(first).chain(headers).chain([last]).collect::<Vec<_>>().join(" \\\n  ")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_quotes() {
        let command = curl("https://a.example/?q='$(id)'", [("X-A", "it's")].into_iter(), r#"{"a": "'; rm"}"#);
        let lines: Vec<&str> = command.split(" \\\n  ").collect();
        assert_eq!(
            lines,
            [
                r"curl -sS -X POST 'https://a.example/?q='\''$(id)'\'''",
                r"-H 'X-A: it'\''s'",
                r#"--data-binary '{"a": "'\''; rm"}'"#
            ]
        );
    }
}
