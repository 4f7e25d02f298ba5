//! The streams of HTTP/2 connections, each of which can be cut by itself: behind a proxy one
//! connection carries requests of many callers.

use hyper::rt::Executor;

use super::Cut;

tokio::task_local! {
    /// Cuts the stream that this task sees to.
    static CUT: Cut;
}

/// Runs each stream of a connection on a task of its own, which ends when the stream is cut.
///
/// A stream that its client does not take cannot end in any other way: hyper asks for no more of
/// an answer that there is no room for, so that nothing in the answer could say that it is over.
/// What hyper hands to its executor holds the stream; once that is dropped, the client is told
/// RST_STREAM with CANCEL (RFC 9113, section 6.4), and what waited to be sent is thrown away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams;

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let cut = Cut::default();
        let wanted = cut.clone();
        tokio::spawn(CUT.scope(cut, async move {
            tokio::select! {
                () = stream => {}
                () = wanted.wanted() => {}
            }
        }));
    }
}

/// What cuts the stream that this task sees to; nothing where a connection has no streams.
pub(super) fn cut() -> Option<Cut> {
    CUT.try_with(Clone::clone).ok()
}
