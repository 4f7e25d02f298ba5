//! The file that contexts are kept in.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Context;

/// The most contexts of a file.
pub const MAX_CONTEXTS: usize = 1_000;

/// The most bytes of the file.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The most bytes of a context's name.
const MAX_NAME: usize = 128;

/// The version of the file that this reads and writes.
const VERSION: u32 = 1;

/// Why contexts cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is no home to keep them in.
    #[error("neither OUTGATE_CONFIG, XDG_CONFIG_HOME nor HOME says where contexts are kept")]
    NoHome,
    /// The file cannot be read.
    #[error("failed to read {}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("failed to write {}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner may read the file, which holds tokens.
    #[error("{} can be read by others: `chmod 600` it, and think of its tokens as known", .path.display())]
    Open {
        /// Which.
        path: PathBuf,
    },
    /// The file is not what it must be.
    #[error("{} is no file of contexts: {why}", .path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong; never what stands there, which may be a token.
        why: String,
    },
    /// There is no context of that name.
    #[error("there is no context `{name}`; `outgate context list` shows those that there are")]
    Unknown {
        /// The name.
        name: String,
    },
    /// A name that no context may have.
    #[error(
        "`{name}` is no name: 1 to 128 of A-Z a-z 0-9 - . _ : @, the first a letter or a digit"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// There are too many.
    #[error("there are {MAX_CONTEXTS} contexts already; remove one")]
    TooMany,
}

/// Contexts by name, and which is in use.
#[derive(Debug)]
pub struct Contexts {
    path: PathBuf,
    document: Document,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
}

impl Contexts {
    /// Where the file is: `OUTGATE_CONFIG`, or `outgate/contexts.toml` below `XDG_CONFIG_HOME` or
    /// `~/.config`. `variable` gives what an environment variable says.
    ///
    /// # Errors
    /// [`ContextError::NoHome`].
    pub fn path(
        variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<PathBuf, ContextError> {
        let folder = |name: &str| {
            variable(name)
                .map(PathBuf::from)
                // The XDG base directory specification has relative paths ignored.
                .filter(|path| path.is_absolute())
        };
        if let Some(path) = variable("OUTGATE_CONFIG").filter(|path| !path.is_empty()) {
            return Ok(path.into());
        }
        let config = folder("XDG_CONFIG_HOME")
            .or_else(|| folder("HOME").map(|home| home.join(".config")))
            .ok_or(ContextError::NoHome)?;
        Ok(config.join("outgate").join("contexts.toml"))
    }

    /// Reads the file; no contexts when there is none.
    ///
    /// # Errors
    /// [`ContextError::Read`], [`ContextError::Open`], [`ContextError::Content`].
    pub fn read(path: &Path) -> Result<Self, ContextError> {
        let text = match contents(path) {
            Ok(text) => text,
            Err(ContextError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(Self {
                    path: path.to_owned(),
                    document: Document {
                        version: VERSION,
                        current: None,
                        contexts: BTreeMap::new(),
                    },
                });
            }
            Err(error) => return Err(error),
        };
        let wrong = |why: String| ContextError::Content {
            path: path.to_owned(),
            why,
        };
        let document: Document =
            toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
        if document.version != VERSION {
            return Err(wrong(format!(
                "its version is {}, not {VERSION}",
                document.version
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            document,
        })
    }

    /// Reads the file, lets `change` change it, and writes it, while nobody else does the same.
    ///
    /// # Errors
    /// As [`Contexts::read`] and as `change`; [`ContextError::Write`].
    pub fn update<T>(
        path: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, ContextError>,
    ) -> Result<T, ContextError> {
        let trouble = |source| ContextError::Write {
            path: path.to_owned(),
            source,
        };
        let folder = folder_of(path);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(trouble)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.with_extension("lock"))
            .map_err(trouble)?;
        lock.lock().map_err(trouble)?;
        let mut contexts = Self::read(path)?;
        let result = change(&mut contexts)?;
        contexts.write().map_err(trouble)?;
        Ok(result)
    }

    /// Names and contexts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Context)> {
        let contexts = self.document.contexts.iter();
        contexts.map(|(name, context)| (name.as_str(), context))
    }

    /// The name of the context in use.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        self.document.current.as_deref()
    }

    /// The context of that name.
    ///
    /// # Errors
    /// [`ContextError::Unknown`].
    pub fn get(&self, name: &str) -> Result<&Context, ContextError> {
        let found = self.document.contexts.get(name);
        found.ok_or_else(|| unknown(name))
    }

    /// Keeps `context` under `name`, in place of one that is there, and uses it from now on.
    ///
    /// # Errors
    /// [`ContextError::Name`], [`ContextError::TooMany`].
    pub fn put(&mut self, name: &str, context: Context) -> Result<(), ContextError> {
        if !well_formed(name) {
            return Err(ContextError::Name { name: name.into() });
        }
        let contexts = &mut self.document.contexts;
        if contexts.len() >= MAX_CONTEXTS && !contexts.contains_key(name) {
            return Err(ContextError::TooMany);
        }
        contexts.insert(name.to_owned(), context);
        self.document.current = Some(name.to_owned());
        Ok(())
    }

    /// Uses the context of that name from now on.
    ///
    /// # Errors
    /// [`ContextError::Unknown`].
    pub fn choose(&mut self, name: &str) -> Result<(), ContextError> {
        self.get(name)?;
        self.document.current = Some(name.to_owned());
        Ok(())
    }

    /// Forgets the context of that name. When it was in use, none is.
    ///
    /// # Errors
    /// [`ContextError::Unknown`].
    pub fn remove(&mut self, name: &str) -> Result<(), ContextError> {
        let removed = self.document.contexts.remove(name);
        removed.ok_or_else(|| unknown(name))?;
        if self.current() == Some(name) {
            self.document.current = None;
        }
        Ok(())
    }

    fn write(&self) -> io::Result<()> {
        let text = toml::to_string_pretty(&self.document).map_err(io::Error::other)?;
        // Whole or not at all, and from the first byte for its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(folder_of(&self.path))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

fn contents(path: &Path) -> Result<String, ContextError> {
    let trouble = |source| ContextError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(trouble)?;
    let metadata = file.metadata().map_err(trouble)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(ContextError::Open { path: path.into() });
    }
    let mut text = String::new();
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(trouble)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= MAX_BYTES) {
        Ok(text)
    } else {
        Err(ContextError::Content {
            path: path.into(),
            why: format!("it has more than {MAX_BYTES} bytes"),
        })
    }
}

/// The folder that `path` lies in.
fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().unwrap_or(Path::new(""));
    if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    }
}

fn unknown(name: &str) -> ContextError {
    ContextError::Unknown { name: name.into() }
}

fn well_formed(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:@".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Trust;
    use crate::token::Token;

    fn context(hub: &str) -> Context {
        Context {
            hub: hub.into(),
            token: Token::new("very-secret"),
            trust: Trust::Pinned,
            ca: Some("line one\nline two\n".into()),
        }
    }

    #[test]
    fn what_was_kept_is_read_again_and_only_its_owner_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/contexts.toml");
        Contexts::update(&path, |contexts| {
            contexts.put("one", context("https://one"))
        })
        .unwrap();
        Contexts::update(&path, |contexts| {
            contexts.put("two", context("https://two"))
        })
        .unwrap();
        let contexts = Contexts::read(&path).unwrap();
        assert_eq!(contexts.current(), Some("two"));
        let one = contexts.get("one").unwrap();
        assert_eq!(one.hub, "https://one");
        assert_eq!(one.token.as_ref().unwrap().expose(), "very-secret");
        assert_eq!(one.ca.as_deref(), Some("line one\nline two\n"));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contexts.toml");
        std::fs::write(&path, "version = 1\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Contexts::read(&path);
        assert!(
            matches!(refused, Err(ContextError::Open { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn a_broken_file_is_refused_without_telling_what_stands_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contexts.toml");
        std::fs::write(
            &path,
            "version = 1\n[contexts.a]\nhub = 3\ntoken = \"very-secret\"\n",
        )
        .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let refused = Contexts::read(&path).unwrap_err();
        assert!(matches!(refused, ContextError::Content { .. }));
        assert!(!format!("{refused} {refused:?}").contains("very-secret"));
    }

    #[test]
    fn no_context_is_in_use_after_that_one_has_been_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contexts.toml");
        Contexts::update(&path, |contexts| {
            contexts.put("one", context("https://one"))?;
            contexts.remove("one")
        })
        .unwrap();
        assert_eq!(Contexts::read(&path).unwrap().current(), None);
        let refused = Contexts::update(&path, |contexts| contexts.choose("one"));
        assert!(matches!(refused, Err(ContextError::Unknown { .. })));
    }

    #[test]
    fn the_environment_says_where_the_file_is() {
        let place = |pairs: &'static [(&str, &str)]| {
            let variable = |name: &str| {
                let found = pairs.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).into())
            };
            Contexts::path(variable).ok()
        };
        assert_eq!(place(&[]), None);
        assert_eq!(
            place(&[("HOME", "/h")]),
            Some("/h/.config/outgate/contexts.toml".into())
        );
        assert_eq!(
            place(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]),
            Some("/x/outgate/contexts.toml".into())
        );
        assert_eq!(
            place(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "relative")]),
            Some("/h/.config/outgate/contexts.toml".into())
        );
        assert_eq!(
            place(&[("HOME", "/h"), ("OUTGATE_CONFIG", "/o.toml")]),
            Some("/o.toml".into())
        );
    }
}
