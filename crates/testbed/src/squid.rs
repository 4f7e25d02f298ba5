//! squid, from a folder of the test's own.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::installed;

/// squid in the foreground, which keeps to `folder`. Writes its configuration there: `lines` say
/// where it listens, whom it asks for names and whom it lets through; in them `{usr}` stands for
/// the folder that squid's package has unpacked its `lib` and `share` in.
///
/// # Errors
/// squid is not installed, or the configuration cannot be written.
pub fn squid(folder: &Path, lines: &str) -> io::Result<Command> {
    // squid lets go of root's rights.
    std::fs::set_permissions(folder, Permissions::from_mode(0o777))?;
    let program = installed("squid")?;
    // …/usr/sbin/squid
    let usr = program.ancestors().nth(2).unwrap_or(Path::new("/usr"));
    let lines = lines.replace("{usr}", &usr.display().to_string());
    let (usr, root) = (usr.display(), folder.display());
    // Everything that squid would look for below `/usr` or write below `/var` lies elsewhere.
    let text = format!(
        "{lines}
        visible_hostname squid.test
        cache deny all
        cache_mem 1 MB
        pid_filename none
        pinger_enable off
        netdb_filename none
        unlinkd_program /bin/true
        shutdown_lifetime 0 seconds
        coredump_dir {root}
        access_log none
        cache_log {root}/cache.log
        mime_table {usr}/share/squid/mime.conf
        icon_directory {usr}/share/squid/icons
        error_directory {usr}/share/squid-langpack/templates\n"
    );
    let configuration = folder.join("squid.conf");
    std::fs::write(&configuration, text)?;
    let mut command = Command::new(program);
    command.arg("-N").arg("-f").arg(configuration);
    Ok(command)
}
