//! Connections are read at a pace if the other end sends in many small pieces: each wakes somebody, and who sends them as
//! fast as it can takes time from all others. Of large pieces only so much is read in one go: what parses them would go on
//! as long as there is more, and hold up whoever else is on its thread.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tower::Service;

/// A piece of fewer bytes is small.
const SMALL: usize = 512;
/// Bytes after which others have their turn: more than is kept of an answer, head and body.
const IN_ONE_GO: usize = 32 * 1024;
/// So many small pieces of an answer are read as they come: more than a head and a body, or a handshake, make.
const AT_ONCE: u32 = 8;
/// The longest pause before another one, in milliseconds: a power of two.
const LONGEST_MS: u64 = 32;

/// How long nothing is read after so many small pieces: what comes meanwhile is read together.
fn pause_after(pieces: u32) -> Option<Duration> {
    let doublings = pieces.checked_sub(AT_ONCE)?.min(LONGEST_MS.ilog2());
    Some(Duration::from_millis(1 << doublings))
}

/// A connection that is read at a pace.
pub(crate) struct Paced<S> {
    stream: S,
    /// Small ones since something was written.
    pieces: u32,
    /// Bytes read since others had their turn.
    in_one_go: usize,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    const fn new(stream: S) -> Self {
        Self { stream, pieces: 0, in_one_go: 0, pause: None }
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.pieces = 0;
            self.pause = None;
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        if self.in_one_go >= IN_ONE_GO {
            self.in_one_go = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        let length = into.filled().len() - before;
        self.in_one_go = if read.is_pending() { 0 } else { self.in_one_go + length };
        ready!(read)?;
        if length < SMALL {
            self.pieces = self.pieces.saturating_add(1);
            self.pause = pause_after(self.pieces).map(|pause| Box::pin(tokio::time::sleep(pause)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: Connection> Connection for Paced<S> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

/// Makes connections that are read at a pace.
#[derive(Clone, Debug)]
pub(crate) struct PacedConnector<C>(pub(crate) C);

impl<C, S> Service<Uri> for PacedConnector<C>
where
    C: Service<Uri, Response = TokioIo<S>>,
    C::Future: Send + 'static,
{
    type Response = TokioIo<Paced<S>>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move { Ok(TokioIo::new(Paced::new(connecting.await?.into_inner()))) })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn read(from: &mut (impl AsyncRead + Unpin), most: usize) -> usize {
        from.read(&mut vec![0; most]).await.expect("read")
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let millis = |pieces| pause_after(pieces).map(|pause| pause.as_millis());
        assert_eq!(
            [1, 7, 8, 9, 12, 13, u32::MAX].map(millis),
            [None, None, Some(1), Some(2), Some(16), Some(32), Some(32)]
        );
    }

    #[tokio::test]
    async fn what_comes_in_small_pieces_is_read_together() {
        let (mut far, near) = tokio::io::duplex(1 << 16);
        let mut near = Paced::new(near);
        for piece in 1..=AT_ONCE {
            assert!(near.pause.is_none(), "piece {piece}");
            far.write_all(b"x").await.expect("written");
            assert_eq!(read(&mut near, 100).await, 1);
        }
        assert!(near.pause.is_some());
        for _ in 0..2 {
            far.write_all(&[b'x'; 20]).await.expect("written");
        }
        assert_eq!(read(&mut near, 100).await, 40);
    }

    #[tokio::test]
    async fn a_flood_lets_others_have_their_turns() {
        let (mut far, near) = tokio::io::duplex(1 << 20);
        let mut near = Paced::new(near);
        far.write_all(&vec![b'x'; 1 << 20]).await.expect("written");
        let (mut got, mut turns) = (0, 0);
        while got < 1 << 20 {
            let mut piece = vec![0; 4096];
            let mut into = ReadBuf::new(&mut piece);
            let read = std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut near).poll_read(context, &mut into)));
            if read.await.is_pending() {
                turns += 1;
                tokio::task::yield_now().await;
            }
            got += into.filled().len();
        }
        assert_eq!(turns, (1 << 20) / IN_ONE_GO - 1);
    }

    #[tokio::test]
    async fn large_pieces_and_the_answers_to_other_requests_are_not_held_up() {
        let (mut far, near) = tokio::io::duplex(1 << 20);
        let mut near = Paced::new(near);
        far.write_all(&[b'x'; 100 * SMALL]).await.expect("written");
        for _ in 0..100 {
            assert_eq!(read(&mut near, SMALL).await, SMALL);
            assert!(near.pause.is_none());
        }
        for _ in 0..100 {
            near.write_all(b"a request").await.expect("written");
            far.write_all(b"an answer").await.expect("written");
            assert_eq!(read(&mut near, 100).await, 9);
            assert!(near.pause.is_none());
        }
    }
}
