//! Devices that show a certificate.

use ring::digest::{SHA256, digest};

use super::authenticate::{self, Shown};
use super::{Identified, Identity};
use crate::id::DeviceId;
use crate::refusal::Refusal;

impl Identity {
    pub(super) async fn by_certificate(
        &self,
        chain: &[Vec<u8>],
        device: Option<&DeviceId>,
    ) -> Result<Identified, Refusal> {
        let leaf = chain.first().ok_or(Refusal::Unauthenticated)?;
        let mut thumbprint = [0; 32];
        thumbprint.copy_from_slice(digest(&SHA256, leaf).as_ref());
        let found = self.by_digest(thumbprint, Shown::Certificate).await?;
        authenticate::is_device(&found, device)?;
        Ok(found)
    }
}
