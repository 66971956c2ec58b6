//! Which database, and where its file is.

use std::path::{Path, PathBuf};

/// A database's address, as the store reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Database {
    /// `sqlite://tidings.db`.
    pub url: String,
    /// The file.
    pub file: PathBuf,
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
        if path == ":memory:" || options.split('&').any(|option| option == "mode=memory") {
            return Err(
                "a database in memory keeps nothing; name a file, such as sqlite://tidings.db",
            );
        }
        let path = percent_encoding::percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| "not UTF-8 once it is percent-decoded")?;
        let file = PathBuf::from(&*path);
        if file.file_name().is_none() || path.contains('\0') {
            return Err("names no file; sqlite://tidings.db would");
        }
        let url = url.to_owned();
        Ok(Self { url, file })
    }

    /// Where the development key is kept: beside the file.
    pub fn dev_key_file(&self) -> PathBuf {
        let mut name = self.file.clone().into_os_string();
        name.push(".dev-key");
        name.into()
    }

    /// The folder that the file is in.
    pub fn folder(&self) -> &Path {
        let parent = self.file.parent().filter(|p| !p.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let file = Database::parse(url).unwrap().file;
            assert_eq!(file, PathBuf::from(path), "{url}");
        }
    }

    #[test]
    fn a_database_in_memory_is_refused() {
        for url in [
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite://name?mode=memory",
        ] {
            assert!(
                Database::parse(url).unwrap_err().contains("in memory"),
                "{url}"
            );
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
        assert_eq!(
            database.dev_key_file(),
            PathBuf::from("/srv/chat.db.dev-key")
        );
        assert_eq!(database.folder(), Path::new("/srv"));
        let here = Database::parse("sqlite://chat.db").unwrap();
        assert_eq!(here.folder(), Path::new("."));
    }
}
