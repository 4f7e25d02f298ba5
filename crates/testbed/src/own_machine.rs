//! A machine of a test's own: a network, mounts and processes that nobody else sees.

use std::io;
use std::process::Command;

use crate::small_disk::succeed;

/// Tells a process of a test that it is there.
const INSIDE: &str = "OUTGATE_OWN_MACHINE";

/// What is made before the test is run: `/run` empty, so that `ip netns` keeps its names there,
/// and `/etc` a copy. An ordinary user cannot copy all of it, and needs no more than they can.
const FURNISH: &str = "
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir /run/netns /run/etc
    cp -a /etc/. /run/etc 2> /dev/null || true
    rm -f /run/etc/resolv.conf
    echo nameserver 127.0.0.1 > /run/etc/resolv.conf
    mount --bind /run/etc /etc
    ip link set lo up
    exec \"$@\"";

/// A machine with a loopback and no other network, no name server, and an `/etc` and a `/run` of
/// its own. It is gone with the test, and so is every process on it.
#[derive(Debug)]
pub struct OwnMachine(());

/// Runs the test that calls this a second time, in a process of its own and as the only one of
/// its program, on a machine of its own; there `test` is run. To be called first, from the test's
/// own thread; what the test does after it is done in both. An ordinary user is root there, and
/// there is nobody else.
///
/// # Errors
/// The namespaces cannot be made, or the test failed in them; then with what it wrote.
pub fn on_own_machine(test: impl FnOnce(&OwnMachine)) -> io::Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        test(&OwnMachine(()));
        return Ok(());
    }
    let thread = std::thread::current();
    let name = thread
        .name()
        .ok_or_else(|| io::Error::other("only a test's own thread has the test's name"))?;
    let mut inside = Command::new("setpriv");
    inside.args(["--pdeathsig", "KILL", "unshare"]);
    if !crate::small_disk::is_root()? {
        inside.args(["--user", "--map-root-user"]);
    }
    inside.args(["--net", "--mount", "--pid", "--fork"]);
    inside.args(["--kill-child=KILL", "--mount-proc"]);
    let said = succeed(
        inside
            .args(["sh", "-ec", FURNISH, "sh"])
            .arg(std::env::current_exe()?)
            .args(["--exact", name, "--nocapture"])
            .env(INSIDE, "1"),
    )?;
    show(&said);
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "for who runs the test with --nocapture, as if it had run here"
)]
fn show(said: &str) {
    print!("{said}");
}

impl OwnMachine {
    /// Runs a shell's script that stops at the first command that fails.
    ///
    /// # Errors
    /// One failed; then with what it said.
    pub fn shell(&self, script: &str) -> io::Result<()> {
        succeed(Command::new("sh").args(["-ec", script])).map(drop)
    }
}

#[cfg(all(test, feature = "namespaces"))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_machine_of_ones_own_has_no_network_and_leaves_nothing() {
        let marker = "/etc/outgate-own-machine";
        on_own_machine(|machine| {
            let devices = fs::read_to_string("/proc/net/dev").unwrap();
            assert_eq!(devices.matches(':').count(), 1, "{devices}");
            assert_eq!(std::process::id(), 1);
            machine.shell("ip netns add site").unwrap();
            assert!(fs::exists("/run/netns/site").unwrap());
            fs::write(marker, "").unwrap();
        })
        .unwrap();
        // What follows is run there too, as the end of the test.
        let outside = std::process::id() != 1;
        assert_eq!(fs::exists(marker).unwrap(), !outside);
        assert_eq!(fs::exists("/run/netns/site").unwrap(), !outside);
    }

    #[test]
    fn what_fails_on_it_fails_with_what_it_said() {
        let failed = on_own_machine(|machine| machine.shell("echo so it is >&2; false").unwrap());
        let said = failed.unwrap_err().to_string();
        assert!(said.contains("so it is"), "{said}");
    }
}
