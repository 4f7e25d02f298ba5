//! Keys, requests and certificates as OpenSSL makes them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A kind of key, in the words of `openssl genpkey`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind(pub(crate) &'static [&'static str]);

pub(crate) const P256: Kind = Kind(&["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
pub(crate) const P384: Kind = Kind(&["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
pub(crate) const RSA_2048: Kind = Kind(&["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
pub(crate) const RSA_3072: Kind = Kind(&["RSA", "-pkeyopt", "rsa_keygen_bits:3072"]);
pub(crate) const ED25519: Kind = Kind(&["ED25519"]);

/// A certificate, or a chain that begins with it, and its key.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

/// What a certificate is to say.
#[derive(Clone, Copy)]
pub(crate) struct Leaf<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    /// What it may be used for (extended key usage).
    pub(crate) usage: &'a str,
    /// By how far the clock of its maker is off, in the words of faketime. It is valid for ten
    /// days.
    pub(crate) clock: &'a str,
}

/// Runs one command of OpenSSL's, in this folder, at a time that is so far off.
fn openssl(folder: &Path, clock: &str, arguments: &[&str]) -> Output {
    let output = Command::new("faketime")
        .args(["-f", clock, "openssl"])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("faketime and OpenSSL are installed by `cargo xtask test`");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output
}

/// A key, and a request of this name for it.
pub(crate) fn request(folder: &Path, name: &str, kind: Kind) -> (PathBuf, PathBuf) {
    let (key, request) = (format!("{name}.key"), format!("{name}.csr"));
    let genpkey = [&["genpkey", "-out", &key, "-algorithm"], kind.0].concat();
    openssl(folder, "+0", &genpkey);
    let subject = format!("/CN={name}");
    let new = [
        "req", "-new", "-key", &key, "-subj", &subject, "-out", &request,
    ];
    openssl(folder, "+0", &new);
    (folder.join(key), folder.join(request))
}

/// An authority that has signed itself. Its files are named by `file`, its subject by `subject`.
pub(crate) fn authority(folder: &Path, file: &str, subject: &str) -> Pair {
    let (key, _) = request(folder, file, P256);
    let (key_name, chain, subject) = (
        format!("{file}.key"),
        format!("{file}.pem"),
        format!("/CN={subject}"),
    );
    openssl(
        folder,
        "-100d",
        &[
            "req",
            "-x509",
            "-new",
            "-key",
            &key_name,
            "-subj",
            &subject,
            "-days",
            "400",
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-out",
            &chain,
        ],
    );
    Pair {
        chain: folder.join(chain),
        key,
    }
}

/// An authority that another has signed.
pub(crate) fn intermediate(folder: &Path, name: &str, by: &Pair) -> Pair {
    let extensions = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n";
    sign(folder, name, (P256, "-50d", "200"), extensions, by)
}

/// A certificate that an authority has signed.
pub(crate) fn leaf(folder: &Path, file: &str, leaf: Leaf<'_>, by: &Pair) -> Pair {
    let Leaf {
        name,
        kind,
        usage,
        clock,
    } = leaf;
    let extensions =
        format!("basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\nsubjectAltName=DNS:{name}\n");
    sign(folder, file, (kind, clock, "10"), &extensions, by)
}

/// A certificate that has signed itself, as it is pinned.
pub(crate) fn self_signed(folder: &Path, name: &str, kind: Kind, clock: &str) -> Pair {
    let (key, _) = request(folder, name, kind);
    let (key_name, chain) = (format!("{name}.key"), format!("{name}.pem"));
    let subject = format!("/CN={name}");
    let new = ["req", "-x509", "-new", "-key", &key_name, "-subj", &subject];
    let rest = ["-days", "10", "-out", &chain];
    openssl(folder, clock, &[&new[..], &rest].concat());
    Pair {
        chain: folder.join(chain),
        key,
    }
}

/// The SHA-256 of a certificate, in hexadecimal.
pub(crate) fn thumbprint(folder: &Path, pair: &Pair) -> String {
    let chain = pair.chain.to_str().expect("UTF-8");
    let output = openssl(
        folder,
        "+0",
        &["x509", "-in", chain, "-noout", "-fingerprint", "-sha256"],
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (_, digits) = text.trim().split_once('=').expect("a fingerprint");
    digits.replace(':', "")
}

/// Signs a certificate; its kind of key, its maker's clock, and for how many days it is good. The
/// chain has those of its signer after it, without the root.
fn sign(
    folder: &Path,
    file: &str,
    (kind, clock, days): (Kind, &str, &str),
    extensions: &str,
    by: &Pair,
) -> Pair {
    let (key, _) = request(folder, file, kind);
    std::fs::write(folder.join("extensions"), extensions).expect("a file");
    let (csr, chain) = (format!("{file}.csr"), format!("{file}.pem"));
    let (authority, authority_key) = (by.chain.to_str(), by.key.to_str());
    openssl(
        folder,
        clock,
        &[
            "x509",
            "-req",
            "-in",
            &csr,
            "-days",
            days,
            "-extfile",
            "extensions",
            "-CA",
            authority.expect("UTF-8"),
            "-CAkey",
            authority_key.expect("UTF-8"),
            "-CAcreateserial",
            "-out",
            &chain,
        ],
    );
    Pair {
        chain: folder.join(chain),
        key,
    }
}

/// A pair whose chain has another's after it.
pub(crate) fn with_chain(pair: &Pair, after: &Pair) -> Pair {
    let read = |path: &Path| std::fs::read_to_string(path).expect("a chain");
    let chain = pair.chain.with_extension("chain.pem");
    std::fs::write(&chain, read(&pair.chain) + &read(&after.chain)).expect("a chain");
    Pair {
        chain,
        key: pair.key.clone(),
    }
}
