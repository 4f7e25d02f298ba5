//! Files sent and got over TLS: the hub's Blob endpoint, nginx, which asks nobody who they are and
//! waits for no disk, and azurite.
//!
//! Each server is started anew in each round; a round goes through all of them, so that what
//! changes on the machine meanwhile hits all alike. A figure is the median of its rounds.

mod contenders;
mod limits;

use std::path::Path;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;

use crate::http::Http;
use crate::process::Measured;
use crate::report::{Figure, Report, median};
use crate::servers::{Programs, Stage};
use contenders::{AGAINST, Contender, Paths, Server};

/// How often everything is measured.
const ROUNDS: usize = 3;

/// How many bytes of a file are sent at a time.
const PART: usize = 256 << 10;

const MEBIBYTE: usize = 1 << 20;

/// Files of one size, all of them over connections that are kept.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    bytes: usize,
    connections: usize,
    /// How many are sent and got in all.
    sent: usize,
    got: usize,
}

/// As many connections as may send to one device's folder at a time.
const MOST: usize = 16;

const LOADS: [Load; 3] = [
    Load {
        name: "4 KiB",
        bytes: 4 << 10,
        connections: MOST,
        sent: 8_000,
        got: 40_000,
    },
    // Beside the next, to see that memory does not follow a file's size.
    Load {
        name: "16 MiB",
        bytes: 16 << 20,
        connections: 4,
        sent: 160,
        got: 320,
    },
    Load {
        name: "256 MiB",
        bytes: 256 << 20,
        connections: 4,
        sent: 8,
        got: 20,
    },
];

/// Measures, prints, and writes JSON to `json`; of everything only what has `only` in its name.
pub(crate) async fn run(
    programs: &Programs,
    share: usize,
    only: &str,
    json: Option<&Path>,
) -> anyhow::Result<()> {
    let mut report = Report::new(AGAINST);
    let mut measured: Vec<(String, &'static str, Vec<Figure>)> = Vec::new();
    let mut keep = |what: String, of: &'static str, figure: Figure| {
        let same = |(other, name, _): &&mut (String, &str, _)| *other == what && *name == of;
        match measured.iter_mut().find(same) {
            Some((.., figures)) => figures.push(figure),
            None => measured.push((what, of, vec![figure])),
        }
    };
    for _ in 0..if share == 1 { ROUNDS } else { 1 } {
        for contender in Contender::ALL {
            let stage = Stage::new()?;
            let server = contender.start(programs, &stage).await;
            let server = server.with_context(|| format!("{} does not start", contender.name()))?;
            for load in LOADS.into_iter().filter(|load| load.name.contains(only)) {
                let failed = || format!("{}: {}", contender.name(), load.name);
                let load = load.part(share);
                for (what, figure) in load.of(&server).await.with_context(failed)? {
                    keep(what, contender.name(), figure);
                }
            }
        }
        for load in LOADS.into_iter().filter(|load| load.name.contains(only)) {
            for (what, of, figure) in limits::of(load.part(share))? {
                keep(what, of, figure);
            }
        }
    }
    for (what, of, figures) in measured {
        report.add(&what, of, median(figures)?);
    }
    report.print()?;
    report.say_how_to_repeat("blob", share, only)?;
    json.map_or(Ok(()), |file| report.write_json(file))
}

impl Load {
    /// A part of it, of at least one file a connection.
    fn part(self, share: usize) -> Self {
        Self {
            sent: (self.sent / share).max(self.connections),
            got: (self.got / share).max(self.connections),
            ..self
        }
    }

    /// What so many files of it are counted as.
    fn things(self, files: usize) -> usize {
        if self.bytes < MEBIBYTE {
            files
        } else {
            files * (self.bytes / MEBIBYTE)
        }
    }

    /// What sending and getting are called in the report.
    fn named(self, act: &str) -> String {
        if self.bytes < MEBIBYTE {
            format!("{act} of {}, files", self.name)
        } else {
            format!("{act} of {}, MiB", self.name)
        }
    }

    async fn of(self, server: &Server) -> anyhow::Result<Vec<(String, Figure)>> {
        let names = (0..self.connections).map(|number| format!("{}-{number}", self.bytes));
        let mut links = Vec::new();
        for name in names {
            let paths = server.paths(&name).await?;
            links.push((Http::open(&server.target).await?, paths));
        }
        let part = vec![0x5a; PART.min(self.bytes)];
        // The first of each is for the caches.
        try_join_all(links.iter_mut().map(|link| self.send(link, &part, 1))).await?;
        let mut figures = Vec::new();
        for (act, files) in [("upload", self.sent), ("download", self.got)] {
            let each = files / self.connections;
            server.running.forget_peak()?;
            let measured = Measured::begin(&server.running)?;
            if act == "upload" {
                try_join_all(links.iter_mut().map(|link| self.send(link, &part, each))).await?;
            } else {
                try_join_all(links.iter_mut().map(|link| self.take(link, each))).await?;
            }
            let things = self.things(each * self.connections);
            let rate = measured.rate(&server.running, things)?;
            figures.push((self.named(act), rate));
            let peak = Figure::bytes(server.running.peak_bytes()?);
            figures.push((format!("{act} of {}: peak of memory", self.name), peak));
        }
        Ok(figures)
    }

    /// Sends so many files, one after the other, each in the place of the one before.
    async fn send(
        self,
        (http, paths): &mut (Http, Paths),
        part: &[u8],
        files: usize,
    ) -> anyhow::Result<()> {
        let head = format!(
            "PUT {} HTTP/1.1\ncontent-length: {}\nx-ms-blob-type: BlockBlob\n",
            paths.put, self.bytes
        );
        for _ in 0..files {
            http.ask(&head).await?;
            for _ in 0..self.bytes / part.len() {
                http.send(part).await?;
            }
            let answer = http.answer().await?.well()?;
            http.body(&answer).await?;
        }
        Ok(())
    }

    /// Gets the file so many times.
    async fn take(self, (http, paths): &mut (Http, Paths), files: usize) -> anyhow::Result<()> {
        let head = format!("GET {} HTTP/1.1\n", paths.get);
        for _ in 0..files {
            http.ask(&head).await?;
            let answer = http.answer().await?.well()?;
            let came = http.body(&answer).await?;
            ensure!(came == self.bytes, "{came} bytes came");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_load_has_a_file_for_every_connection() {
        for load in LOADS {
            let part = load.part(10);
            assert!(part.sent >= part.connections && part.got >= part.connections);
            assert_eq!(load.sent % load.connections, 0);
            assert_eq!(load.got % load.connections, 0);
            assert_eq!(load.bytes % PART.min(load.bytes), 0);
        }
    }

    #[test]
    fn small_files_are_counted_and_large_ones_by_their_mebibytes() {
        let [small, .., large] = LOADS;
        assert_eq!((small.things(10), large.things(10)), (10, 2_560));
        assert_eq!(small.named("upload"), "upload of 4 KiB, files");
        assert_eq!(large.named("upload"), "upload of 256 MiB, MiB");
    }
}
