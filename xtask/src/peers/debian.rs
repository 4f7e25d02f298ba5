//! Debian packages: which are missing, and how they are installed or unpacked.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{Missing, Surroundings, is_root};
use crate::report::say;
use crate::run;

const LIST: &str = include_str!("../../peers/debian.txt");

/// apt-get must neither ask nor wait for ever: for a lock, or for a network that is not there.
const PATIENCE: [&str; 3] = [
    "-oDPkg::Lock::Timeout=300",
    "-oAcquire::Retries=1",
    "-oAcquire::http::Timeout=30",
];

/// Where Debian's Python is set apart, in the folder of libraries.
const PYTHON_APART: &str = "python-apart";

/// One line of the list.
#[derive(Debug, PartialEq)]
struct Wanted {
    packages: Vec<String>,
    how: How,
    shown_by: Vec<String>,
    purpose: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Install,
    Unpack,
}

/// Brings what is missing onto the machine and tells what still is.
pub(super) fn prepare(folder: &Path, around: &Surroundings) -> Vec<Missing> {
    let list = match parse(LIST) {
        Ok(list) => list,
        Err(error) => return vec![missing("xtask/peers/debian.txt", &format!("{error:#}"))],
    };
    let absent: Vec<Wanted> = list
        .into_iter()
        .filter(|wanted| !wanted.is_there(around))
        .collect();
    if absent.is_empty() {
        say("Debian packages: everything is there");
        return Vec::new();
    }
    let lists = if is_root() { update() } else { Ok(()) };
    let (unpack, install): (Vec<Wanted>, Vec<Wanted>) = absent
        .into_iter()
        .partition(|wanted| wanted.how == How::Unpack);
    let installed = lists.and_then(|()| install_all(&install));
    let mut still = still_missing(&install, around, &installed);
    let unpacked = unpack_all(&unpack, folder);
    still.extend(still_missing(&unpack, around, &unpacked));
    still
}

/// Reads the list.
fn parse(list: &str) -> Result<Vec<Wanted>> {
    let lines = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| Wanted::parse(line).with_context(|| format!("bad line: {line}")))
        .collect()
}

impl Wanted {
    fn parse(line: &str) -> Result<Self> {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [packages, how, shown_by, purpose] = fields.as_slice() else {
            bail!("four fields separated by `|` were expected");
        };
        let words = |text: &str, separator: &str| -> Vec<String> {
            text.split(separator).map(str::to_owned).collect()
        };
        let packages = words(packages, " + ");
        ensure!(
            packages.iter().all(|name| is_package_name(name)),
            "no package names: {packages:?}"
        );
        Ok(Self {
            packages,
            how: match *how {
                "install" => How::Install,
                "unpack" => How::Unpack,
                other => bail!("`install` or `unpack` was expected, not `{other}`"),
            },
            shown_by: words(shown_by, " "),
            purpose: (*purpose).to_owned(),
        })
    }

    /// The package by which readers of the list know it.
    fn name(&self) -> &str {
        self.packages.first().map_or("", String::as_str)
    }

    fn is_there(&self, around: &Surroundings) -> bool {
        let Some((program, arguments)) = self.shown_by.split_first() else {
            return false;
        };
        let mut command = Command::new(program);
        around.lend_to(&mut command);
        run::works(command.args(arguments))
    }
}

/// Debian Policy, section 5.6.1.
fn is_package_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() >= 2
        && name
            .bytes()
            .all(|byte| plain(byte) || b"+-.".contains(&byte))
        && name.bytes().next().is_some_and(plain)
}

fn update() -> Result<()> {
    say("Debian packages: apt-get update");
    run::quietly(apt_get().arg("update")).map(drop)
}

fn install_all(wanted: &[Wanted]) -> Result<()> {
    let names = package_names(wanted);
    if names.is_empty() {
        return Ok(());
    }
    ensure!(
        is_root(),
        "only root may install them: apt-get install --no-install-recommends {}",
        names.join(" ")
    );
    announce("installing on this machine", wanted);
    run::quietly(
        apt_get()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(names),
    )
    .map(drop)
}

fn unpack_all(wanted: &[Wanted], folder: &Path) -> Result<()> {
    let names = package_names(wanted);
    if names.is_empty() {
        return Ok(());
    }
    let root = folder.join("debian");
    let downloads = folder.join("downloads");
    for one in [&root, &downloads] {
        fs::create_dir_all(one).with_context(|| format!("failed to make {}", one.display()))?;
    }
    announce(&format!("unpacking below {}", root.display()), wanted);
    run::quietly(
        apt_get()
            .current_dir(&downloads)
            .arg("download")
            .args(&names),
    )?;
    for file in fs::read_dir(&downloads).context("failed to list the downloads")? {
        let file = file.context("failed to list the downloads")?.path();
        run::quietly(
            Command::new("dpkg-deb")
                .arg("--extract")
                .arg(&file)
                .arg(&root),
        )?;
    }
    set_python_apart(&root.join("usr/lib")).context("failed to set Debian's Python apart")?;
    fs::remove_dir_all(&downloads).context("failed to remove the downloads")
}

/// Moves Debian's own Python to where only who asks for it finds it: any other Python that is told
/// where the unpacked libraries are would load it in place of its own.
fn set_python_apart(libraries: &Path) -> std::io::Result<()> {
    let apart = libraries.join(PYTHON_APART);
    for folder in fs::read_dir(libraries)? {
        let folder = folder?.path();
        if !folder.is_dir() || folder == apart {
            continue;
        }
        for file in fs::read_dir(&folder)? {
            let file = file?;
            if file.file_name().to_string_lossy().starts_with("libpython") {
                fs::create_dir_all(&apart)?;
                fs::rename(file.path(), apart.join(file.file_name()))?;
            }
        }
    }
    Ok(())
}

fn announce(act: &str, wanted: &[Wanted]) {
    say(format_args!("Debian packages: {act}:"));
    for one in wanted {
        say(format_args!(
            "  {:<22} {}",
            one.packages.join(", "),
            one.purpose
        ));
    }
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(PATIENCE)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("NEEDRESTART_SUSPEND", "1");
    command
}

fn package_names(wanted: &[Wanted]) -> Vec<&str> {
    wanted
        .iter()
        .flat_map(|one| &one.packages)
        .map(String::as_str)
        .collect()
}

fn still_missing(wanted: &[Wanted], around: &Surroundings, outcome: &Result<()>) -> Vec<Missing> {
    let absent = wanted.iter().filter(|one| !one.is_there(around));
    absent
        .map(|one| match outcome {
            Ok(()) => missing(
                one.name(),
                &format!("`{}` does not work", one.shown_by.join(" ")),
            ),
            Err(error) => missing(one.name(), &format!("{error:#}")),
        })
        .collect()
}

fn missing(what: &str, why: &str) -> Missing {
    Missing {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn pythons_libraries_are_set_apart_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("x86_64-linux-gnu");
        fs::create_dir(&place).unwrap();
        for name in ["libpython3.11.so.1.0", "libevent-2.1.so.7"] {
            fs::write(place.join(name), "").unwrap();
        }
        for _again in 0..2 {
            set_python_apart(folder.path()).unwrap();
            assert!(place.join("libevent-2.1.so.7").exists());
            assert!(!place.join("libpython3.11.so.1.0").exists());
            let apart = folder.path().join(PYTHON_APART);
            assert!(apart.join("libpython3.11.so.1.0").exists());
        }
    }

    #[test]
    fn the_shipped_list_can_be_read() {
        let list = parse(LIST).unwrap();
        assert!(list.iter().any(|wanted| wanted.name() == "g++"));
        let nginx = list.iter().find(|wanted| wanted.name() == "nginx").unwrap();
        assert_eq!((nginx.packages.len(), nginx.how), (2, How::Unpack));
    }

    #[test]
    fn the_shipped_list_never_installs_what_would_start_a_service_or_take_over_the_resolver() {
        for wanted in parse(LIST).unwrap() {
            for name in &wanted.packages {
                let would = ["chrony", "nginx", "dnsmasq", "systemd-resolved"];
                if would.contains(&name.as_str()) {
                    assert_eq!(wanted.how, How::Unpack, "{name}");
                }
            }
        }
    }

    #[test]
    fn a_line_without_its_four_fields_is_refused() {
        let error = parse("nftables | install | nft").unwrap_err();
        assert!(format!("{error:#}").contains("four fields"), "{error:#}");
    }

    #[test]
    fn an_option_cannot_pass_for_a_package() {
        assert!(parse("--purge | install | true | mischief").is_err());
    }

    #[test]
    fn a_package_is_missing_for_the_reason_that_kept_it_away() {
        let list = parse("aa + bb | install | no-such-program | nothing").unwrap();
        let path = Surroundings::with_path("/usr/bin");
        assert_eq!(
            still_missing(&list, &path, &Err(anyhow!("not root"))),
            [missing("aa", "not root")]
        );
        assert_eq!(
            still_missing(&list, &path, &Ok(())),
            [missing("aa", "`no-such-program` does not work")]
        );
    }

    #[test]
    fn a_package_whose_command_works_is_not_missing() {
        let list = parse("coreutils | install | true --version | nothing").unwrap();
        assert!(
            still_missing(&list, &Surroundings::with_path("/usr/bin:/bin"), &Ok(())).is_empty()
        );
    }
}
