//! Wire formats of an operator's own: every `*.toml` of a folder.

use std::path::{Path, PathBuf};

use postrider_core::profile::{Profile, Profiles};

/// The published formats and those in `folder`.
///
/// # Errors
/// One line with the file, and the place of the first mistake in it.
pub(crate) fn read(folder: &Path) -> Result<Profiles, String> {
    let mut profiles = Profiles::published();
    for path in files(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let wrong = |message: String| format!("{}: {message}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let profile = Profile::parse(&text).map_err(|error| wrong(error.to_string()))?;
        profiles = profiles.with(profile).map_err(|error| wrong(error.to_string()))?;
    }
    profiles.check_types().map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(profiles)
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        folder
    }

    const SIXTH: &str = r#"
        name = "sixth"
        title = "Sixth"
        summary = "Bare."
        body = '"{{payload}}"'
        [[groups]]
        name = "Own"
        event_types = [["own.happened", "It happened"]]
        [[examples]]
        event_type = "own.happened"
        payload = '{}'
    "#;

    #[test]
    fn every_file_is_a_format() {
        let folder = folder(&[("sixth.toml", SIXTH), ("notes.txt", "no format")]);
        let profiles = read(folder.path()).expect("valid");
        assert_eq!(
            profiles.names().collect::<Vec<_>>(),
            ["standard", "aplyid", "casekeeper", "anycheck", "credas", "sixth"]
        );
    }

    #[test]
    fn a_mistake_is_named_with_its_file_and_place() {
        let wrong = SIXTH.replace("{{payload}}", "{{playload}}");
        let error = read(folder(&[("sixth.toml", &wrong)]).path()).expect_err("a mistake");
        assert!(error.contains("sixth.toml: line 5: `playload`"), "{error}");
        let error = read(folder(&[("a.toml", SIXTH), ("b.toml", SIXTH)]).path()).expect_err("twice");
        assert!(error.contains("b.toml: there is another profile named `sixth`"), "{error}");
        assert!(read(Path::new("/does/not/exist")).is_err());
    }
}
