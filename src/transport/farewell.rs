//! How a connection ends so that the peer gets to read the last bytes.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How long a peer may take to read the last bytes and close its side.
const FAREWELL: Duration = Duration::from_secs(2);

/// Writes what is left, says that no more comes and reads until the peer has said so too: a connection that is closed with
/// bytes unread is reset, and a reset takes the last bytes away from the peer.
pub(super) async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S, left: &[u8]) {
    let mut waste = [0; 1024];
    let farewell = async {
        io.write_all(left).await?;
        io.shutdown().await?;
        while io.read(&mut waste).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever goes wrong here, the connection is over.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}
