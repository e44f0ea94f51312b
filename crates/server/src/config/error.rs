//! What is wrong with a setting.

/// A setting that cannot be used: one line that names it, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {message}")]
pub struct ConfigError {
    /// The setting as its source spells it: `POSTRIDER_LISTEN`, `--listen`, `postrider.toml:3: listen`.
    pub(super) name: String,
    /// What is wrong and what to do. Never repeats a value: it may be a secret.
    pub(super) message: String,
}

impl ConfigError {
    pub(super) fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name: name.into(), message: message.into() }
    }
}
