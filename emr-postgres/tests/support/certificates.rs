//! Certificates for a server of the test's own.

use std::path::Path;
use std::process::Command;

/// Writes an authority (`ca.crt`), a certificate of it for `localhost` (`server.crt`, `server.key`), and another authority
/// (`other.crt`).
pub(crate) fn write(directory: &Path) {
    std::fs::write(directory.join("leaf.cnf"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    for text in [
        format!("openssl req -x509 {key} -subj /CN=trusted -keyout ca.key -out ca.crt"),
        format!("openssl req -x509 {key} -subj /CN=other -keyout other.key -out other.crt"),
        format!("openssl req {key} -subj /CN=localhost -keyout server.key -out server.csr"),
        "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile leaf.cnf \
         -out server.crt"
            .to_owned(),
        "chmod 600 server.key".to_owned(),
    ] {
        let mut words = text.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        let output = command.args(words).current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
