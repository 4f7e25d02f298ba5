//! The product that the device is: its manifest, and the lanes of its version.

use std::fmt;
use std::sync::Arc;

use outgate_manifest::{Lane, Manifest, Selection, SelectionError};
use thiserror::Error;

use crate::config;

/// The party of a manifest whose place the device has.
pub const DEVICE: &str = "device";

/// Reads the product's manifest, or says what is wrong with it. It is read whenever it is needed and
/// not kept, since it would be the largest thing that an agent keeps.
pub type ReadManifest = Arc<dyn Fn() -> Result<Manifest, String> + Send + Sync>;

/// Why the manifest says nothing about this device.
#[derive(Debug, Error)]
pub enum ProductError {
    /// It cannot be read.
    #[error("failed to read the product's manifest: {0}")]
    Manifest(String),
    /// The version is none.
    #[error("product.version: {0} is not a version")]
    Version(String),
    /// The product has no such version or party.
    #[error(transparent)]
    Selection(#[from] SelectionError),
}

/// The product that the device is. Cloned freely.
#[derive(Clone)]
pub struct Product {
    read: ReadManifest,
    version: Option<String>,
}

impl fmt::Debug for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = &self.version;
        f.debug_struct("Product").field("version", version).finish()
    }
}

impl Product {
    /// The product of a configuration, whose manifest `read` reads.
    #[must_use]
    pub fn new(config: &config::Product, read: ReadManifest) -> Self {
        Self {
            read,
            version: config.version.clone(),
        }
    }

    /// The manifest, and the lanes of the installed version that `from` starts, or everybody.
    ///
    /// # Errors
    /// [`ProductError`].
    pub fn lanes(&self, from: Option<&str>) -> Result<(Manifest, Vec<Lane>), ProductError> {
        let manifest = (self.read)().map_err(ProductError::Manifest)?;
        let version = self.version.as_deref();
        let version = version.map(|text| {
            let read = text.parse();
            read.map_err(|_| ProductError::Version(text.to_owned()))
        });
        let selection = Selection {
            version: version.transpose()?,
            from: from.map(str::to_owned),
            ..Selection::default()
        };
        let lanes = manifest.lanes(&selection)?;
        Ok((manifest, lanes))
    }

    /// What people call the product.
    ///
    /// # Errors
    /// [`ProductError::Manifest`].
    pub fn name(&self) -> Result<String, ProductError> {
        let manifest = (self.read)().map_err(ProductError::Manifest)?;
        Ok(manifest.product().name.clone())
    }

    /// The installed version, if it is known.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}
