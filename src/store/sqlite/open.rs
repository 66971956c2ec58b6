//! Opening the file: made if absent, locked against a second server, brought up to this program's schema.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Error};

use super::rows::{Columns, Result, number};
use super::{SqliteOptions, Synchronous, sql};
use crate::model::{Epoch, Epochs};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// `Tidg`: what the first migration writes into the file's header.
const APPLICATION_ID: i64 = 0x5469_6467;
/// Older ones can lose committed pages when the write-ahead log is begun anew (the WAL-reset bug).
const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);
/// How long a writer waits for someone else's lock, for example a backup by hand.
const BUSY: Duration = Duration::from_secs(5);
/// Rows that the driver's thread may be ahead: a whole page, so that it does not wait for the reader between rows.
const ROWS_AHEAD: usize = 1_024;

/// Why a database cannot be opened. One line each, naming the file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not an address of a database file.
    #[error("{url} is not the address of a database file; write sqlite://tidings.db")]
    Url {
        /// As it was given.
        url: String,
    },
    /// The folder is not there.
    #[error("{}: there is no such folder to keep the database in", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The file, or its folder, cannot be written.
    #[error("{}: cannot be opened for writing: {source}", path.display())]
    Unwritable {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another server has it.
    #[error("{}: another server is using this database", path.display())]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("{}: is not a Tidings database", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer program.
    #[error("{}: was written by a newer Tidings (schema {version})", path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The schema's number that this program does not know.
        version: i64,
    },
    /// The SQLite in this program is too old to be trusted.
    #[error("SQLite {found} is too old: {}.{}.{} mends a bug that loses data", SQLITE_MIN.0, SQLITE_MIN.1, SQLITE_MIN.2)]
    SqliteTooOld {
        /// Its version.
        found: String,
    },
    /// A visit to a database that is not there, or that this program has not brought up to its schema yet.
    #[error("{}: there is no database of this version of Tidings; start the server on it once", path.display())]
    NotYet {
        /// The database file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{}: {source}", path.display())]
    Other {
        /// The database file.
        path: PathBuf,
        /// The driver's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A file that was opened.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) lock: File,
    pub(super) writing: SqliteConnectOptions,
    pub(super) reading: SqliteConnectOptions,
    pub(super) writer: SqliteConnection,
    pub(super) epochs: Epochs,
    pub(super) fingerprint_key: [u8; 32],
}

pub(super) async fn open(url: &str, options: &SqliteOptions) -> Result<Opened, OpenError> {
    let path = made(&path(url)?)?;
    let lock = locked(&path)?;
    let writing = writing(&path, options);
    let mut writer = writing
        .connect()
        .await
        .map_err(|error| refused(&path, error))?;
    version(&mut writer, &path).await?;
    identity(&mut writer, &path).await?;
    migrate(&mut writer, &path).await?;
    let (fingerprint_key, epochs) =
        (known(&mut writer).await).map_err(|error| refused(&path, error))?;
    let equipped = super::writer::equip(&mut writer).await;
    equipped.map_err(|error| refused(&path, error))?;
    // What a server that was killed has wiped may still be in the log.
    super::sweep::checkpoint(&mut writer).await;
    Ok(Opened {
        reading: reading(&path),
        path,
        lock,
        writing,
        writer,
        epochs,
        fingerprint_key,
    })
}

/// Connects to a database that is there, beside the server that may be using it.
pub(super) async fn visit(
    url: &str,
    options: &SqliteOptions,
) -> Result<(PathBuf, SqliteConnection), OpenError> {
    let path = path(url)?;
    let Ok(path) = path.canonicalize() else {
        return Err(OpenError::NotYet { path });
    };
    let mut conn =
        (writing(&path, options).connect().await).map_err(|error| refused(&path, error))?;
    identity(&mut conn, &path).await?;
    let tables = one(sql::VISITABLE, &mut conn, &path).await?;
    match Columns::of(&tables).flag() {
        Ok(true) => Ok((path, conn)),
        Ok(false) => Err(OpenError::NotYet { path }),
        Err(error) => Err(refused(&path, error)),
    }
}

fn path(url: &str) -> Result<PathBuf, OpenError> {
    let bad = || OpenError::Url {
        url: url.to_owned(),
    };
    // How the file is opened is not for the address to say: `?mode=ro` would be dropped in silence.
    if !url.starts_with("sqlite:") || url.contains('?') {
        return Err(bad());
    }
    let options = SqliteConnectOptions::from_str(url).map_err(|_| bad())?;
    let path = options.get_filename();
    // `sqlite::memory:` becomes a `file:` name: nothing would be kept.
    let named = path.file_name().is_some() && !path.to_string_lossy().starts_with("file:");
    if named {
        Ok(path.to_owned())
    } else {
        Err(bad())
    }
}

/// The file's one true name, and the file there, readable by its owner only.
///
/// An existing one is not opened here: closing it again would drop the locks that SQLite holds on it in this process.
fn made(path: &Path) -> Result<PathBuf, OpenError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(OpenError::NoFolder {
            path: folder.to_owned(),
        });
    }
    let unwritable = |source| OpenError::Unwritable {
        path: path.to_owned(),
        source,
    };
    match private(OpenOptions::new().write(true).create_new(true)).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(unwritable(error));
        }
        _ => {}
    }
    path.canonicalize().map_err(unwritable)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Holds a lock on a file beside the database for as long as the store lives. The lock file stays when the store goes:
/// removing it would let two servers lock two files of the same name.
fn locked(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let unwritable = |source| OpenError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let file = private(OpenOptions::new().write(true).create(true).truncate(false))
        .open(name)
        .map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(unwritable(source)),
    }
}

fn writing(path: &Path, options: &SqliteOptions) -> SqliteConnectOptions {
    let synchronous = match options.synchronous {
        Synchronous::Full => SqliteSynchronous::Full,
        Synchronous::Normal => SqliteSynchronous::Normal,
    };
    common(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        // macOS: fsync alone leaves data in the drive's cache.
        .pragma("fullfsync", "ON")
        .foreign_keys(true)
        .pragma("secure_delete", "ON")
        // After a burst the log gives its space back.
        .pragma("journal_size_limit", "67108864")
        // KiB: the indexes' ends, where a batch writes, stay in memory.
        .pragma("cache_size", "-16384")
}

fn reading(path: &Path) -> SqliteConnectOptions {
    common(path).read_only(true).pragma("query_only", "ON")
}

fn common(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .row_buffer_size(ROWS_AHEAD)
        // No message is ever spilled to a temporary file.
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
        .thread_name(|n| format!("sqlite-{n}"))
}

async fn version(conn: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let row = one("SELECT sqlite_version()", conn, path).await?;
    let found: String = sqlx::Row::try_get(&row, 0).map_err(|error| refused(path, error))?;
    let mut numbers = found.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    if (next(), next(), next()) < SQLITE_MIN {
        return Err(OpenError::SqliteTooOld { found });
    }
    Ok(())
}

/// Someone else's database is not written into.
async fn identity(conn: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let row = one(
        "SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id",
        conn,
        path,
    )
    .await?;
    let mut row = Columns::of(&row);
    let read = (row.int()).and_then(|id| Ok((id, row.int()?)));
    match read.map_err(|error| refused(path, error))? {
        (APPLICATION_ID, _) | (0, 0) => Ok(()),
        _ => Err(OpenError::NotOurs {
            path: path.to_owned(),
        }),
    }
}

async fn one(
    sql: &'static str,
    conn: &mut SqliteConnection,
    path: &Path,
) -> Result<SqliteRow, OpenError> {
    let row = sqlx::query(sql).fetch_one(conn).await;
    row.map_err(|error| refused(path, error))
}

async fn migrate(conn: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let path = || path.to_owned();
    match MIGRATIONS.run_direct(None, conn, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(version)) => Err(OpenError::Newer {
            path: path(),
            version,
        }),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            Err(refused(&path(), error))
        }
        Err(error) => Err(OpenError::Other {
            path: path(),
            source: error.into(),
        }),
    }
}

/// What the file says about itself. Its key is made on first use.
async fn known(conn: &mut SqliteConnection) -> Result<([u8; 32], Epochs)> {
    let fresh: [u8; 32] = rand::random();
    sqlx::query("INSERT OR IGNORE INTO meta (key, value) VALUES ('fingerprint_key', ?)")
        .bind(fresh.to_vec())
        .execute(&mut *conn)
        .await?;
    let row = sqlx::query("SELECT value FROM meta WHERE key = 'fingerprint_key'")
        .fetch_one(&mut *conn)
        .await?;
    let key = Columns::of(&row).bytes()?;
    let rows = sqlx::query(sql::EPOCHS).fetch_all(conn).await?;
    let start = |row: &SqliteRow| {
        let mut row = Columns::of(row);
        Ok((Epoch::stored(number(row.int()?)?), row.seq()?))
    };
    Ok((
        key,
        Epochs::new(rows.iter().map(start).collect::<Result<_>>()?),
    ))
}

/// SQLite's error as one that names the file. Codes: <https://sqlite.org/rescode.html>.
pub(super) fn refused(path: &Path, error: Error) -> OpenError {
    let code = error.as_database_error().and_then(|error| error.code());
    let primary = code
        .and_then(|code| code.parse::<u32>().ok())
        .map(|code| code & 0xff);
    let path = path.to_owned();
    match primary {
        // SQLITE_NOTADB
        Some(26) => OpenError::NotOurs { path },
        // SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN
        Some(3 | 8 | 14) => OpenError::Unwritable {
            path,
            source: io::Error::new(io::ErrorKind::PermissionDenied, error),
        },
        // SQLITE_BUSY, SQLITE_LOCKED
        Some(5 | 6) => OpenError::InUse { path },
        _ => OpenError::Other {
            path,
            source: error.into(),
        },
    }
}
