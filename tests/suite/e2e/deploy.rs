//! What `deploy/` holds, as far as it can be checked without a container engine.

use std::path::Path;
use std::process::Command;

use postrider_tests::{ServerOptions, run_command};
use serde_json::Value;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(REPOSITORY).join(path)).expect("there")
}

/// YAML as JSON, by the Python that the set-up of the tests made.
fn yaml(path: &str) -> Value {
    let python = Path::new(REPOSITORY).join("target/verifiers/python/bin/python");
    let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let output = Command::new(python).args(["-c", script]).arg(Path::new(REPOSITORY).join(path)).output();
    let output = output.expect("run `make test-setup`");
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Every `POSTRIDER_…` in a text.
fn settings(text: &str) -> Vec<&str> {
    let ends = |c: char| !c.is_ascii_uppercase() && c != '_';
    text.split("POSTRIDER_").skip(1).filter_map(|rest| rest.split(ends).next()).collect()
}

/// Those that the program takes for what they are.
async fn assert_known(names: &[&str]) {
    assert!(!names.is_empty());
    for name in names {
        let options = ServerOptions::default().set(name, "\u{7f}");
        let (_, _, err) = run_command(&options, &["keys", "list"]).await;
        assert!(!err.contains("is not a known setting"), "{name}: {err}");
    }
}

#[tokio::test]
async fn the_compose_file_starts_what_there_is() {
    let compose = yaml("deploy/compose.yaml");
    let service = &compose["services"]["postrider"];
    let containerfile = service["build"]["dockerfile"].as_str().expect("a file");
    assert!(Path::new(REPOSITORY).join(containerfile).exists());
    assert_eq!(service["depends_on"]["postgres"]["condition"], "service_healthy");
    assert_known(&settings(&text("deploy/compose.yaml"))).await;
}

#[test]
fn the_compose_file_pastes_no_password_into_a_url() {
    let environment = yaml("deploy/compose.yaml")["services"]["postrider"]["environment"].clone();
    let url = environment["POSTRIDER_DATABASE_URL"].as_str().expect("a URL");
    assert!(!url.contains('$'), "{url}");
    assert!(environment["PGPASSWORD"].as_str().is_some_and(|value| value.contains("POSTGRES_PASSWORD")));
}

#[test]
fn builds_of_containers_get_neither_builds_nor_secrets_of_this_machine() {
    let docker = text(".dockerignore");
    assert_eq!(docker, text(".containerignore"), "Docker reads the one, Podman and Buildah the other");
    for left_out in ["target", ".git", "*.db*", "*.key"] {
        assert!(docker.lines().any(|line| line == left_out), "{left_out}");
    }
    assert!(text(".gitignore").lines().any(|line| line == "*.key"));
}

#[tokio::test]
async fn the_container_runs_as_nobody_in_particular_and_with_known_settings() {
    let containerfile = text("deploy/Containerfile");
    let user = containerfile.lines().rfind(|line| line.starts_with("USER ")).expect("a user");
    assert_ne!(user, "USER root");
    assert_known(&settings(&containerfile)).await;
    let (code, _, _) = run_command(&ServerOptions::default(), &["serve", "--help"]).await;
    assert_eq!(code, 0, "its entry point and command");
}

#[tokio::test]
async fn the_unit_is_one_that_systemd_takes() {
    let unit = text("deploy/postrider.service");
    assert_known(&settings(&unit)).await;
    for hardening in ["NoNewPrivileges=yes", "ProtectSystem=strict", "DynamicUser=yes", "UMask=0077"] {
        assert!(unit.contains(hardening), "{hardening}");
    }
    // The program is where this test has built it.
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().join("postrider.service");
    let program = postrider_tests::Binary::Real.path();
    std::fs::write(&here, unit.replace("/usr/local/bin/postrider", &program.display().to_string())).expect("written");
    match Command::new("systemd-analyze").arg("verify").arg(&here).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("not verified by systemd, which is not here: {error}"),
    }
}

#[test]
fn the_alerts_are_rules() {
    let alerts = yaml("deploy/monitoring/alerts.yml");
    let rules = alerts["groups"][0]["rules"].as_array().expect("rules");
    for rule in rules {
        for part in ["alert", "expr"] {
            assert!(rule[part].is_string(), "{rule}");
        }
        assert!(rule["labels"]["severity"].is_string() && rule["annotations"]["what_to_do"].is_string(), "{rule}");
    }
    assert!(rules.len() >= 5);
}
