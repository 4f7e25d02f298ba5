//! Templates of configuration, each with the versions before it: what devices read to know how they
//! should behave, and back ends publish. What is in one is the dialect's business.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};
use serde_json::json;

use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::identity::{Principal, Scope};
use crate::refusal::Refusal;
use crate::sessions::Pass;
use crate::store::Store;

/// The table of this part.
pub(crate) const SCHEMA: &str = "
CREATE TABLE template (
    project TEXT NOT NULL,
    version INTEGER NOT NULL,
    published INTEGER NOT NULL,
    publisher TEXT NOT NULL,
    forced INTEGER NOT NULL,
    source INTEGER,
    description TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (project, version)
) STRICT, WITHOUT ROWID;
";

/// How many versions of a template are kept; the oldest go.
pub const MAX_VERSIONS: u32 = 100;

/// The most bytes of a template's content.
pub const MAX_TEMPLATE: usize = 2 << 20;

const COLUMNS: &str = "version, published, publisher, forced, source, description";

/// One version of a template, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number: 1 for the first, and one more each time.
    pub number: u64,
    /// When it was published.
    pub published: Timestamp,
    /// Who did it: `service/NAME`.
    pub publisher: String,
    /// Whether it took the place of whatever was there.
    pub forced: bool,
    /// The version that it repeats, when it is a rollback.
    pub source: Option<u64>,
    /// What was said about it.
    pub description: String,
}

/// A version and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Which version it is.
    pub version: Version,
    /// What is in it.
    pub content: String,
}

/// What must be there for a publication to take its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Anything or nothing.
    Any,
    /// This version; 0 for none yet.
    Version(u64),
}

/// A version to publish.
#[derive(Clone, Debug)]
pub struct NewTemplate {
    /// What is in it.
    pub content: String,
    /// What is said about it.
    pub description: String,
}

/// Templates of configuration.
#[derive(Clone, Debug)]
pub struct Templates {
    store: Store,
    clock: Clock,
}

impl Templates {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// The latest version of a project's template, or the one of that number; none when there is
    /// none, or none any more.
    ///
    /// # Errors
    /// What [`Pass::check`] refuses with; as the store.
    pub async fn get(
        &self,
        pass: &Pass,
        project: String,
        number: Option<u64>,
    ) -> Result<Option<Template>, Refusal> {
        let find = move |connection: &Connection| find(connection, &project, number);
        let found = self.store.read(find).await?;
        pass.check()?;
        Ok(found)
    }

    /// The versions of a project's template that are kept, the latest first: at most `limit` of
    /// those before the number `before`.
    ///
    /// # Errors
    /// As [`Templates::get`].
    pub async fn versions(
        &self,
        pass: &Pass,
        project: String,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Version>, Refusal> {
        let list = move |connection: &Connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM template WHERE project = ?1 AND version < ?2
                 ORDER BY version DESC LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let before =
                before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
            let versions = statement.query_map(params![project, before, limit], read)?;
            Ok(versions.collect::<Result<_, _>>()?)
        };
        let listed = self.store.read(list).await?;
        pass.check()?;
        Ok(listed)
    }

    /// Publishes a version, if what is there is what the publisher expects.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who is no service that sees all sites; [`Refusal::Conflict`] when
    /// something else is there; [`Refusal::TooLarge`] beyond [`MAX_TEMPLATE`]; what [`Pass::check`]
    /// refuses with; as the store.
    pub async fn publish(
        &self,
        pass: Pass,
        project: String,
        expected: Expected,
        new: NewTemplate,
    ) -> Result<Template, Refusal> {
        if new.content.len() > MAX_TEMPLATE {
            let (what, limit) = ("bytes of a template", MAX_TEMPLATE as u64);
            return Err(Refusal::TooLarge { what, limit });
        }
        let (now, bytes) = (self.clock.now(), new.content.len());
        let publish = move |connection: &Connection| {
            may_publish(&pass)?;
            let latest = latest(connection, &project)?;
            if matches!(expected, Expected::Version(number) if number != latest) {
                return Err(Refusal::Conflict {
                    what: "the template",
                });
            }
            let version = Version {
                number: latest + 1,
                published: now,
                publisher: pass.principal().name(),
                forced: expected == Expected::Any,
                source: None,
                description: new.description,
            };
            keep(connection, &pass, &project, version, new.content)
        };
        self.store.write_bulk(bytes, publish).await
    }

    /// Publishes once more what was in an earlier version, whatever is there now.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for a version that is not there, or not any more, or is the latest; as
    /// [`Templates::publish`].
    pub async fn roll_back(
        &self,
        pass: Pass,
        project: String,
        number: u64,
    ) -> Result<Template, Refusal> {
        let now = self.clock.now();
        let roll_back = move |connection: &Connection| {
            may_publish(&pass)?;
            let latest = latest(connection, &project)?;
            let found = find(connection, &project, Some(number))?;
            let found = found.filter(|found| found.version.number < latest);
            let found = found.ok_or_else(|| Refusal::not_found("earlier version", number))?;
            let version = Version {
                number: latest + 1,
                published: now,
                publisher: pass.principal().name(),
                forced: true,
                source: Some(number),
                description: found.version.description,
            };
            keep(connection, &pass, &project, version, found.content)
        };
        self.store.write_bulk(MAX_TEMPLATE, roll_back).await
    }
}

/// Whether the holder of `pass` may publish: a template says to all devices of all sites how they
/// should behave.
///
/// # Errors
/// [`Refusal::Forbidden`]; what [`Pass::check`] refuses with.
pub fn may_publish(pass: &Pass) -> Result<(), Refusal> {
    pass.check()?;
    match pass.principal() {
        Principal::Service {
            scope: Scope::All, ..
        } => Ok(()),
        Principal::Service { .. } | Principal::Device { .. } | Principal::Operator { .. } => {
            Err(Refusal::forbidden("publishing a template"))
        }
    }
}

/// The number of the latest version; 0 for none.
fn latest(connection: &Connection, project: &str) -> Result<u64, Refusal> {
    let latest = connection
        .prepare_cached("SELECT MAX(version) FROM template WHERE project = ?1")?
        .query_row([project], |row| row.get::<_, Option<u64>>(0))?;
    Ok(latest.unwrap_or(0))
}

fn find(
    connection: &Connection,
    project: &str,
    number: Option<u64>,
) -> Result<Option<Template>, Refusal> {
    let number = match number {
        Some(number) => number,
        None => latest(connection, project)?,
    };
    let Ok(number) = i64::try_from(number) else {
        return Ok(None);
    };
    let sql =
        format!("SELECT {COLUMNS}, content FROM template WHERE project = ?1 AND version = ?2");
    let found = connection
        .prepare_cached(&sql)?
        .query_row(params![project, number], |row| {
            let (version, content) = (read(row)?, row.get("content")?);
            Ok(Template { version, content })
        });
    Ok(found.optional()?)
}

fn keep(
    connection: &Connection,
    pass: &Pass,
    project: &str,
    version: Version,
    content: String,
) -> Result<Template, Refusal> {
    let sql = format!(
        "INSERT INTO template (project, {COLUMNS}, content) VALUES
         (:project, :version, :published, :publisher, :forced, :source, :description, :content)"
    );
    connection.prepare_cached(&sql)?.execute(named_params! {
        ":project": project,
        ":version": version.number,
        ":published": version.published,
        ":publisher": version.publisher,
        ":forced": version.forced,
        ":source": version.source,
        ":description": version.description,
        ":content": content,
    })?;
    connection
        .prepare_cached("DELETE FROM template WHERE project = ?1 AND version + ?2 <= ?3")?
        .execute(params![project, MAX_VERSIONS, version.number])?;
    let detail = json!({ "version": version.number, "source": version.source });
    let on = format!("template/{project}");
    audit::append_by(
        connection,
        version.published,
        Some(pass),
        "template.publish",
        &on,
        &detail,
    )?;
    Ok(Template { version, content })
}

fn read(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version {
        number: row.get("version")?,
        published: row.get("published")?,
        publisher: row.get("publisher")?,
        forced: row.get("forced")?,
        source: row.get("source")?,
        description: row.get("description")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::tests::Bench;
    use crate::limits::Limits;
    use crate::sessions::Session;

    const POS: &str = "pos";

    fn new(content: &str) -> NewTemplate {
        NewTemplate {
            content: content.to_owned(),
            description: format!("about {content}"),
        }
    }

    async fn publish(
        bench: &Bench,
        by: &Session,
        expected: Expected,
        content: &str,
    ) -> Result<Template, Refusal> {
        let templates = &bench.core.templates;
        templates
            .publish(by.pass(), POS.to_owned(), expected, new(content))
            .await
    }

    async fn content(bench: &Bench, by: &Session, number: Option<u64>) -> Option<String> {
        let pass = by.pass();
        let found = bench.core.templates.get(&pass, POS.to_owned(), number);
        found.await.unwrap().map(|found| found.content)
    }

    #[tokio::test]
    async fn a_version_takes_the_place_of_the_one_that_its_publisher_knows_and_of_no_other() {
        let bench = Bench::new(Limits::default());
        let service = bench.service("office", "");
        let first = publish(&bench, &service, Expected::Version(0), "a")
            .await
            .unwrap();
        assert_eq!((first.version.number, first.version.forced), (1, false));
        assert_eq!(first.version.publisher, "service/office");
        for stale in [0, 2] {
            let refused = publish(&bench, &service, Expected::Version(stale), "x").await;
            assert!(
                matches!(refused, Err(Refusal::Conflict { .. })),
                "{refused:?}"
            );
        }
        let second = publish(&bench, &service, Expected::Version(1), "b")
            .await
            .unwrap();
        assert_eq!(second.version.number, 2);
        let third = publish(&bench, &service, Expected::Any, "c").await.unwrap();
        assert_eq!((third.version.number, third.version.forced), (3, true));
        assert_eq!(content(&bench, &service, None).await.as_deref(), Some("c"));
        assert_eq!(
            content(&bench, &service, Some(1)).await.as_deref(),
            Some("a")
        );
        assert_eq!(content(&bench, &service, Some(u64::MAX)).await, None);
        let pass = service.pass();
        let other = bench.core.templates.get(&pass, "other".to_owned(), None);
        assert_eq!(other.await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_rollback_is_a_version_of_its_own_that_says_what_it_repeats() {
        let bench = Bench::new(Limits::default());
        let service = bench.service("office", "");
        for text in ["a", "b"] {
            publish(&bench, &service, Expected::Any, text)
                .await
                .unwrap();
        }
        let templates = &bench.core.templates;
        let back = templates
            .roll_back(service.pass(), POS.to_owned(), 1)
            .await
            .unwrap();
        assert_eq!((back.version.number, back.version.source), (3, Some(1)));
        assert_eq!(
            (back.content.as_str(), back.version.description.as_str()),
            ("a", "about a")
        );
        for none in [0, 3, 4] {
            let refused = templates
                .roll_back(service.pass(), POS.to_owned(), none)
                .await;
            assert!(
                matches!(refused, Err(Refusal::NotFound { .. })),
                "{none}: {refused:?}"
            );
        }
    }

    #[tokio::test]
    async fn the_latest_versions_are_kept_and_listed_in_parts() {
        let bench = Bench::new(Limits::default());
        let service = bench.service("office", "");
        for number in 0..=MAX_VERSIONS {
            publish(&bench, &service, Expected::Any, &number.to_string())
                .await
                .unwrap();
        }
        assert_eq!(content(&bench, &service, Some(1)).await, None);
        assert_eq!(
            content(&bench, &service, Some(2)).await.as_deref(),
            Some("1")
        );
        let list = async |before, limit| {
            let templates = &bench.core.templates;
            let pass = service.pass();
            let listed = templates.versions(&pass, POS.to_owned(), before, limit);
            let numbers = listed.await.unwrap().into_iter().map(|one| one.number);
            numbers.collect::<Vec<_>>()
        };
        assert_eq!(list(None, 2).await, [101, 100]);
        assert_eq!(list(Some(100), 2).await, [99, 98]);
        assert_eq!(list(None, 1_000).await.len(), 100);
    }

    #[tokio::test]
    async fn only_a_service_of_all_sites_publishes_and_everybody_reads() {
        let bench = Bench::new(Limits::default());
        let service = bench.service("office", "");
        publish(&bench, &service, Expected::Any, "a").await.unwrap();
        for session in [bench.session("till-1"), bench.service("kitchen", "oslo")] {
            let refused = publish(&bench, &session, Expected::Any, "x").await;
            assert!(
                matches!(refused, Err(Refusal::Forbidden { .. })),
                "{refused:?}"
            );
            let back = bench
                .core
                .templates
                .roll_back(session.pass(), POS.to_owned(), 1)
                .await;
            assert!(matches!(back, Err(Refusal::Forbidden { .. })), "{back:?}");
            assert_eq!(content(&bench, &session, None).await.as_deref(), Some("a"));
        }
        let long = "-".repeat(MAX_TEMPLATE + 1);
        let refused = publish(&bench, &service, Expected::Any, &long).await;
        assert!(
            matches!(refused, Err(Refusal::TooLarge { .. })),
            "{refused:?}"
        );
    }
}
