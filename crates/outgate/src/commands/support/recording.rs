//! `outgate support recording`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::output::Failure;
use crate::remote::Remote;

/// The most bytes of a line: a chunk of 32 KiB in base 64.
const MAX_LINE: usize = 64 * 1024;

/// `outgate support recording`.
#[derive(Args)]
#[command(after_help = "asciinema plays what --as asciicast writes: asciinema play session.cast")]
pub(super) struct RecordingArgs {
    /// Of which session
    session: String,
    /// As what; a shell's as an asciicast, a service's as lines when absent
    #[arg(long = "as", value_name = "FORM")]
    form: Option<Form>,
    /// Write to FILE instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// asciicast, version 2, for players of terminals
    Asciicast,
    /// As the hub has it: lines of JSON
    Lines,
    /// The bytes that the operator sent
    Sent,
    /// The bytes that the device sent
    Received,
}

impl RecordingArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let mut recording = client.support_recording(&self.session).await?;
        let out: Box<dyn Write> = match &self.output {
            None => Box::new(io::stdout()),
            Some(path) => {
                let file = File::create(path);
                let failed = || format!("failed to write {}", path.display());
                Box::new(file.with_context(failed).map_err(Failure::Input)?)
            }
        };
        let mut writer = Writer::new(self.form, BufWriter::new(out));
        let mut rest = Vec::new();
        while let Some(piece) = recording.next().await? {
            rest.extend_from_slice(&piece);
            let whole = rest.iter().rposition(|byte| *byte == b'\n');
            let lines: Vec<u8> = rest.drain(..whole.map_or(0, |at| at + 1)).collect();
            for line in lines.split(|byte| *byte == b'\n') {
                writer.line(line).map_err(Failure::Internal)?;
            }
            if rest.len() > MAX_LINE {
                return Err(Failure::Internal(anyhow!("the hub sends no recording")));
            }
        }
        // What is left is a line that the hub had begun when it was killed.
        writer
            .out
            .flush()
            .context("failed to write")
            .map_err(Failure::Internal)
    }
}

/// Writes a recording in one form or another.
struct Writer<W> {
    form: Option<Form>,
    out: W,
    /// Of each direction the beginning of a letter whose end has not come.
    begun: [Vec<u8>; 2],
}

impl<W: Write> Writer<W> {
    fn new(form: Option<Form>, out: W) -> Self {
        Self {
            form,
            out,
            begun: [Vec::new(), Vec::new()],
        }
    }

    fn line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        if line.is_empty() {
            return Ok(());
        }
        let read: Value = serde_json::from_slice(line).context("the recording is damaged")?;
        let what = read.get("what").and_then(Value::as_str).unwrap_or_default();
        let form = *self.form.get_or_insert(match what.starts_with("shell") {
            true => Form::Asciicast,
            false => Form::Lines,
        });
        match (form, read.as_array().map(Vec::as_slice)) {
            (Form::Lines, _) => {
                self.out.write_all(line)?;
                self.out.write_all(b"\n")?;
            }
            (Form::Asciicast, None) => self.head(&read)?,
            (Form::Sent | Form::Received, None) => {}
            (form, Some([at, Value::String(way), Value::String(bytes)])) => {
                let bytes = STANDARD.decode(bytes).context("the recording is damaged")?;
                self.event(form, at, way, &bytes)?;
            }
            (Form::Asciicast | Form::Sent | Form::Received, Some(_)) => {
                return Err(anyhow!("the recording is damaged"));
            }
        }
        Ok(())
    }

    fn head(&mut self, about: &Value) -> anyhow::Result<()> {
        let text = |name: &str| about.get(name).and_then(Value::as_str).unwrap_or_default();
        let size = text("what").strip_prefix("shell ");
        let size = size.and_then(|size| size.split_once('x'));
        let (columns, rows) = size.unwrap_or(("80", "24"));
        let title = format!(
            "{} on {}: {}",
            text("operator"),
            text("device"),
            text("reason")
        );
        let head = json!({
            "version": 2, "width": columns.parse::<u16>()?, "height": rows.parse::<u16>()?,
            "title": title,
        });
        writeln!(self.out, "{head}")?;
        Ok(())
    }

    fn event(&mut self, form: Form, at: &Value, way: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let sent = way == "i";
        match form {
            Form::Sent if sent => self.out.write_all(bytes)?,
            Form::Received if !sent => self.out.write_all(bytes)?,
            Form::Asciicast => {
                let [of_device, of_operator] = &mut self.begun;
                let begun = if sent { of_operator } else { of_device };
                begun.extend_from_slice(bytes);
                let text = letters(begun);
                if !text.is_empty() {
                    writeln!(self.out, "{}", json!([at, way, text]))?;
                }
            }
            Form::Sent | Form::Received | Form::Lines => {}
        }
        Ok(())
    }
}

/// Takes whole letters of UTF-8 out of what has come; what is none of it is replaced.
fn letters(begun: &mut Vec<u8>) -> String {
    let whole = match std::str::from_utf8(begun) {
        Ok(_) => begun.len(),
        Err(error) => match error.error_len() {
            // Its end may follow.
            None => error.valid_up_to(),
            Some(_) => begun.len(),
        },
    };
    let whole: Vec<u8> = begun.drain(..whole).collect();
    String::from_utf8_lossy(&whole).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Option<Form>, what: &str) -> String {
        let mut writer = Writer::new(form, Vec::new());
        let about = json!({
            "version": 1, "device": "till", "operator": "anna", "reason": "why", "what": what,
        });
        let euro = "€".as_bytes();
        let events = [
            json!([0.1, "i", STANDARD.encode("ls\r")]),
            json!([0.2, "o", STANDARD.encode(&euro[..2])]),
            json!([0.3, "o", STANDARD.encode(&euro[2..])]),
            json!([0.4, "o", STANDARD.encode([0xff])]),
        ];
        for line in [about].iter().chain(&events) {
            writer.line(line.to_string().as_bytes()).unwrap();
        }
        String::from_utf8(writer.out).unwrap()
    }

    #[test]
    fn a_shells_recording_is_an_asciicast_of_whole_letters() {
        let cast = written(None, "shell 100x30");
        let lines: Vec<&str> = cast.lines().collect();
        let head: Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!((&head["version"], &head["width"]), (&json!(2), &json!(100)));
        assert_eq!(
            lines[1..],
            [
                "[0.1,\"i\",\"ls\\r\"]",
                "[0.3,\"o\",\"€\"]",
                "[0.4,\"o\",\"\u{fffd}\"]"
            ]
        );
    }

    #[test]
    fn a_services_recording_is_what_the_hub_has_or_the_bytes_of_one_side() {
        let lines = written(None, "service pos");
        assert_eq!(lines.lines().count(), 5);
        assert_eq!(written(Some(Form::Sent), "service pos"), "ls\r");
    }
}
