//! What the settings promise together.

use std::io::Write;
use std::time::Duration;

use super::*;
use crate::hidden::Hidden;

fn load(options: &ServeOptions, environment: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let owned = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Settings::from_sources(options, owned)
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn with_file(text: &str) -> (tempfile::NamedTempFile, ServeOptions) {
    let file = file(text);
    let mut options = ServeOptions::default();
    options.store.config = Some(file.path().to_owned());
    (file, options)
}

/// A master key.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let (_file, mut options) = with_file("listen = \"127.0.0.1:1111\"\nlog = \"warn\"\n[retention]\npayloads = \"1h\"");
    let settings = load(&options, &[("POSTRIDER_LISTEN", "127.0.0.1:2222"), ("OTHER", "x")]).expect("valid");
    assert_eq!((settings.server.listen.port(), settings.telemetry.log.as_str()), (2222, "warn"));
    assert_eq!(settings.retention.payloads, Duration::from_secs(3600));
    assert_eq!(settings.retention.deliveries, Duration::from_secs(30 * 86400));
    options.listen = Some("localhost:3333".to_owned());
    let settings = load(&options, &[("POSTRIDER_LISTEN", "127.0.0.1:2222")]).expect("valid");
    assert_eq!(settings.server.listen.port(), 3333);
}

#[test]
fn lists_are_read_from_both() {
    let (_file, options) = with_file("[targets]\nallow = [\"10.0.0.0/8\", \"127.0.0.1\"]");
    let settings = load(&options, &[("POSTRIDER_TARGETS_DENY", "10.1.0.0/16, ::1")]).expect("valid");
    assert_eq!(settings.targets.url_policy.addresses.allow.len(), 2);
    assert_eq!(settings.targets.url_policy.addresses.deny.len(), 2);
}

#[test]
fn a_bad_setting_is_named() {
    let named = |environment: &[(&str, &str)]| load(&ServeOptions::default(), environment).err().map(|e| e.name);
    for (name, value) in [
        ("POSTRIDER_LISTEN", "nowhere"),
        ("POSTRIDER_METRICS_LISTEN", "everywhere"),
        ("POSTRIDER_LISTNE", "127.0.0.1:1"),
        ("POSTRIDER_DEV", "maybe"),
        ("POSTRIDER_MASTER_KEY", "c2hvcnQ="),
        ("POSTRIDER_MASTER_KEY_FILE", "/does/not/exist"),
        ("POSTRIDER_BOOTSTRAP_API_KEY", "short"),
        ("POSTRIDER_TARGETS_ALLOW", "10.0.0.0/33"),
        ("POSTRIDER_TARGETS_CA_FILE", "/does/not/exist"),
        ("POSTRIDER_RETENTION_PAYLOADS", "soon"),
        ("POSTRIDER_RETENTION_DELIVERIES", "99999999999d"),
        ("POSTRIDER_LOG", "a=b=c"),
        ("POSTRIDER_LOG_FORMAT", "xml"),
        ("POSTRIDER_DATABASE_URL", "mysql://x"),
        ("POSTRIDER_ROLE", "dispatcher"),
        ("POSTRIDER_PROFILES_DIR", "/does/not/exist"),
        ("POSTRIDER_TRACES_ENDPOINT", "collector:4318"),
    ] {
        assert_eq!(named(&[(name, value)]).as_deref(), Some(name));
    }
}

#[test]
fn a_bad_value_in_a_file_is_named_with_its_line() {
    for (text, expected) in [
        ("dev = true\nlisten = \"nowhere\"", ":2: listen: must be an address such as 127.0.0.1:8080"),
        ("[targets]\n\nin_flight = 4096", ":3: targets.in_flight: must be a whole number from 1 to 2048"),
        ("database_url = \"postgres://u:1/sentinel@h/d\"", ":1: database_url: has an `@` behind a `/`"),
        ("master_key = \"sentinel\"", ":1: master_key: must be 32 bytes in base64"),
    ] {
        let (file, options) = with_file(text);
        let told = load(&options, &[]).expect_err(text).to_string();
        assert!(told.starts_with(&format!("{}{expected}", file.path().display())), "{told}");
        assert!(told.lines().count() == 1 && !told.contains("sentinel"), "{told}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let key = "sentinel-sentinel-sentinel-sentinel";
    let settings = load(&ServeOptions::default(), &[("POSTRIDER_BOOTSTRAP_API_KEY", key)]).expect("valid");
    assert!(!format!("{settings:?}").contains("sentinel"));
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let none = ServeOptions::default();
    let (key, url) = (file(&format!("{KEY}\n")), file("sqlite://elsewhere.db\r\n"));
    let path = |file: &tempfile::NamedTempFile| file.path().display().to_string();
    let settings = load(
        &none,
        &[
            ("POSTRIDER_MASTER_KEY_FILE", &path(&key)),
            ("POSTRIDER_MASTER_KEY_PREVIOUS_FILE", &path(&key)),
            ("POSTRIDER_DATABASE_URL_FILE", &path(&url)),
            ("POSTRIDER_BOOTSTRAP_API_KEY_FILE", &path(&key)),
        ],
    )
    .expect("valid");
    assert!(settings.keys.master.is_some() && settings.keys.master_previous.is_some());
    assert_eq!(settings.keys.bootstrap, Some(Hidden(KEY.to_owned())), "without the line's end");
    assert_eq!(settings.database.url.to_string(), "sqlite://elsewhere.db");
    let (_file, options) = with_file(&format!("database_url_file = \"{}\"", path(&url)));
    assert_eq!(load(&options, &[]).expect("valid").database.url.to_string(), "sqlite://elsewhere.db");
    let overridden = load(&options, &[("POSTRIDER_DATABASE_URL", "sqlite://mine.db")]).expect("valid");
    assert_eq!(overridden.database.url.to_string(), "sqlite://mine.db", "the environment overrides the file");
}

#[test]
fn a_bad_secret_in_a_file_is_named_with_the_file_and_not_shown() {
    let none = ServeOptions::default();
    let bad = file("sentinel");
    let path = bad.path().display().to_string();
    let told = load(&none, &[("POSTRIDER_MASTER_KEY_FILE", &path)]).expect_err("bad").to_string();
    let expected = format!("POSTRIDER_MASTER_KEY_FILE: what {path} holds must be 32 bytes in base64");
    assert!(told.starts_with(&expected) && !told.contains("sentinel"), "{told}");
    let told = load(&none, &[("POSTRIDER_MASTER_KEY_FILE", "/does/not/exist")]).expect_err("missing").to_string();
    assert!(told.starts_with("POSTRIDER_MASTER_KEY_FILE: cannot read /does/not/exist: "), "{told}");
    let both = [("POSTRIDER_MASTER_KEY", KEY), ("POSTRIDER_MASTER_KEY_FILE", path.as_str())];
    let told = load(&none, &both).expect_err("both").to_string();
    assert_eq!(told, "POSTRIDER_MASTER_KEY_FILE: POSTRIDER_MASTER_KEY is set as well; set one of the two");
}

/// The example file with every setting in force.
fn uncommented() -> String {
    let lines = example_file();
    let is_setting =
        |line: &str| line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
    lines.lines().map(|line| if is_setting(line) { &line[1..] } else { line }).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_file_has_every_setting_and_each_is_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    let pem = folder.path().join("authorities.pem");
    std::fs::write(&pem, "-----BEGIN CERTIFICATE-----\n").expect("written");
    let key = folder.path().join("secret.key");
    std::fs::write(&key, KEY).expect("written");
    let text = uncommented()
        .replace("/etc/postrider/authorities.pem", &pem.display().to_string())
        .replace("/etc/postrider/master.key", &key.display().to_string())
        .replace("/etc/postrider/master-previous.key", &key.display().to_string())
        .replace("/etc/postrider/bootstrap.key", &key.display().to_string())
        .replace("/etc/postrider/profiles", &folder.path().display().to_string());
    let found = file::read("example", &text).expect("known settings");
    assert_eq!(found.len(), sections::all().count());
    Settings::from_text(&text).expect("valid");
}

#[test]
fn what_the_example_file_shows_as_default_is_the_default() {
    let defaults = format!("{:?}", Settings::from_text("").expect("valid"));
    let with_defaults: String = sections::SECTIONS
        .iter()
        .flat_map(|section| section.settings)
        .filter_map(|setting| Some(format!("{}={}\n", setting.variable(), setting.default?)))
        .collect();
    let environment: Vec<(&str, &str)> = with_defaults.lines().filter_map(|line| line.split_once('=')).collect();
    let options = ServeOptions::default();
    assert_eq!(format!("{:?}", load(&options, &environment).expect("valid")), defaults);
}

#[test]
fn the_page_and_the_example_file_are_as_the_code_has_them() {
    let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (path, text) in [("docs/configuration.md", reference_page()), ("deploy/postrider.toml", example_file())] {
        let written = std::fs::read_to_string(repository.join(path)).unwrap_or_default();
        assert!(written == text, "{path} is out of date: run `make generated`");
    }
}
