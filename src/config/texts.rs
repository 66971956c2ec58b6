//! The settings as text: what was given or is the default, before anything is checked.

use std::fmt;

/// The one setting whose text is never shown.
pub(super) const SECRET: &str = "TIDINGS_JWT_SECRET";

/// Each setting's environment variable and text, in the order of [`super::Flags`]; empty where there is none. Secrets are among
/// them.
#[derive(Clone)]
pub struct Texts(pub(super) Vec<(String, String)>);

impl Texts {
    /// A setting's text; `None` where it has no default and was not given.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, text) = self.0.iter().find(|(known, _)| known == name)?;
        (!text.is_empty()).then_some(text)
    }
}

/// As `.env` would say it, secrets masked.
impl fmt::Display for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in &self.0 {
            let secret = name == SECRET && !text.is_empty();
            writeln!(f, "{name}={}", if secret { "(secret)" } else { text })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
