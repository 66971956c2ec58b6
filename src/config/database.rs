//! Which database, and where its file is.

use std::path::{Path, PathBuf};

/// A database's address, as `sqlx` reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Database {
    /// `sqlite://tidings.db`.
    pub url: String,
    /// The file; `None` for a database in memory, which ends with the process.
    pub file: Option<PathBuf>,
}

impl Database {
    /// Reads an address.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let rest = url
            .strip_prefix("sqlite:")
            .ok_or("not the address of an SQLite database, such as sqlite://tidings.db")?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
        let in_memory = path == ":memory:" || options.split('&').any(|o| o == "mode=memory");
        if path.is_empty() && !in_memory {
            return Err("names no file; sqlite://tidings.db would");
        }
        let path = percent_encoding::percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| "not UTF-8 once it is percent-decoded")?;
        if path.contains('\0') {
            return Err("a file's name cannot hold a zero byte");
        }
        Ok(Self {
            url: url.to_owned(),
            file: (!in_memory).then(|| PathBuf::from(&*path)),
        })
    }

    /// Where the development key is kept: beside the file.
    pub fn dev_key_file(&self) -> Option<PathBuf> {
        let mut name = self.file.clone()?.into_os_string();
        name.push(".dev-key");
        Some(name.into())
    }

    /// The folder that the file is in; `None` in memory.
    pub fn folder(&self) -> Option<&Path> {
        let parent = self.file.as_deref()?.parent()?;
        Some(if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(url: &str) -> Option<PathBuf> {
        Database::parse(url).unwrap().file
    }

    #[test]
    fn an_address_names_its_file_as_sqlx_reads_it() {
        for (url, path) in [
            ("sqlite://tidings.db", "tidings.db"),
            ("sqlite:tidings.db", "tidings.db"),
            ("sqlite:///var/lib/tidings.db", "/var/lib/tidings.db"),
            (
                "sqlite:///var/lib/tidings.db?mode=rwc",
                "/var/lib/tidings.db",
            ),
            ("sqlite://my%20chat.db", "my chat.db"),
        ] {
            assert_eq!(file(url), Some(path.into()), "{url}");
        }
    }

    #[test]
    fn a_database_in_memory_has_no_file() {
        for url in [
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite://name?mode=memory",
            "sqlite://?mode=memory",
        ] {
            let database = Database::parse(url).unwrap();
            assert_eq!(database.file, None, "{url}");
            assert_eq!(database.dev_key_file(), None, "{url}");
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        for url in [
            "postgres://db/tidings",
            "tidings.db",
            "sqlite:",
            "sqlite://?mode=rwc",
        ] {
            assert!(Database::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_development_key_is_beside_the_file() {
        let database = Database::parse("sqlite:///srv/chat.db").unwrap();
        assert_eq!(database.dev_key_file(), Some("/srv/chat.db.dev-key".into()));
        assert_eq!(database.folder(), Some(Path::new("/srv")));
        let here = Database::parse("sqlite://chat.db").unwrap();
        assert_eq!(here.folder(), Some(Path::new(".")));
    }
}
