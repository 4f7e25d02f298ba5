//! News told when a write is over, also when nobody waits for its result any more.

/// Something to tell, told when dropped. Made inside a write and returned by it, it is told only
/// after the commit; and told all the same when the caller has given up waiting meanwhile, or the
/// commit has failed: who hears it looks at the store, so a false alarm does no harm.
pub(crate) struct Announcement<F: FnMut()>(F);

impl<F: FnMut()> Announcement<F> {
    pub(crate) fn new(tell: F) -> Self {
        Self(tell)
    }
}

impl<F: FnMut()> Drop for Announcement<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[tokio::test]
    async fn what_a_write_announces_is_told_though_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::of_tests(folder.path());
        let (tell, told) = std::sync::mpsc::channel();
        let write = store.write(move |_| {
            Ok(Announcement::new(move || {
                // Whoever listens may have gone.
                let _ = tell.send(());
            }))
        });
        let given_up = tokio::time::timeout(std::time::Duration::ZERO, write).await;
        drop(given_up);
        assert_eq!(told.recv(), Ok(()));
    }
}
