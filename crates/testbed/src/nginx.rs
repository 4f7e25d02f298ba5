//! nginx, from a folder of the test's own.

use std::io;
use std::path::Path;
use std::process::Command;

/// nginx in the foreground, which keeps to `folder` and says its errors on standard error. Writes
/// its configuration there: `http` stands in its `http` block, servers above all.
///
/// # Errors
/// The configuration cannot be written.
pub fn nginx(folder: &Path, http: &str) -> io::Result<Command> {
    let root = folder.display();
    let configuration = folder.join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; pid {root}/pid; error_log stderr;
        events {{ }}
        http {{
            access_log off;
            client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
            fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi;
            scgi_temp_path {root}/scgi;
            {http}
        }}"
    );
    std::fs::write(&configuration, text)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(configuration);
    command.args(["-e", "stderr"]);
    Ok(command)
}
