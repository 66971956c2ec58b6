//! The key of development mode: made once, kept beside the database, for the owner's eyes only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::Secret;

/// Longer than any key; what is longer is another file.
const BYTES_MAX: u64 = 1024;

/// The development key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DevKeyError {
    /// Reading or making it failed.
    #[error("the development key {} cannot be {doing}: {source}", path.display())]
    Io {
        /// Where it is.
        path: PathBuf,
        /// `read` or `made`.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Others can read it, so others can sign with it.
    #[error(
        "the development key {} can be read by others (mode {mode:03o}): delete it, and a new one is made, or chmod 600",
        path.display()
    )]
    Open {
        /// Where it is.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is something else.
    #[error("the development key {} is not one: delete it, and a new one is made", path.display())]
    NotAKey {
        /// Where it is.
        path: PathBuf,
    },
}

/// The key, made where there is none.
pub(super) fn read_or_make(path: &Path) -> Result<Secret, DevKeyError> {
    if let Some(secret) = read(path)? {
        return Ok(secret);
    }
    let made = Secret::random();
    match write(path, &made) {
        Ok(()) => Ok(made),
        // Another process made it in the meantime: that one counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| io_error(path, "made", error))
        }
        Err(error) => Err(io_error(path, "made", error)),
    }
}

/// The key, if there is one.
pub(super) fn read(path: &Path) -> Result<Option<Secret>, DevKeyError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, "read", error)),
    };
    refuse_if_open(path, &file)?;
    let mut text = String::new();
    file.take(BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| io_error(path, "read", error))?;
    let secret = Secret::parse(text.trim_end()).map_err(|_| DevKeyError::NotAKey {
        path: path.to_owned(),
    })?;
    Ok(Some(secret))
}

/// Written whole under another name first, so that nobody ever reads half a key.
fn write(path: &Path, secret: &Secret) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let written = fill(&unfinished, secret).and_then(|()| fs::hard_link(&unfinished, path));
    let _ = fs::remove_file(&unfinished);
    written
}

fn fill(path: &Path, secret: &Secret) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(secret.bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(unix)]
fn refuse_if_open(path: &Path, file: &File) -> Result<(), DevKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|e| io_error(path, "read", e))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(DevKeyError::Open { path, mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_if_open(_path: &Path, _file: &File) -> Result<(), DevKeyError> {
    Ok(())
}

fn io_error(path: &Path, doing: &'static str, source: io::Error) -> DevKeyError {
    DevKeyError::Io {
        path: path.to_owned(),
        doing,
        source,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db.dev-key");
        let made = read_or_make(&path).unwrap();
        assert_eq!(read_or_make(&path).unwrap(), made);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn two_processes_that_make_it_at_once_have_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db.dev-key");
        write(&path, &Secret::random()).unwrap();
        let late = write(&path, &Secret::random()).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn one_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db.dev-key");
        read_or_make(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = read_or_make(&path).unwrap_err().to_string();
        assert!(refused.contains("mode 644"), "{refused}");
    }

    #[test]
    fn another_file_is_not_taken_for_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db.dev-key");
        fill(&path, &Secret::random()).unwrap();
        fs::write(&path, "short\n").unwrap();
        assert!(matches!(read(&path), Err(DevKeyError::NotAKey { .. })));
    }
}
