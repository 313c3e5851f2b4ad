//! Servers that are none, or speak the protocol wrongly: an error, whatever they send, and never a panic.

use std::time::Duration;

use emr_core::{ConnectFailure, RepoOptions, TlsMode};
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{refused, run, why};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("impostors::another_protocol", || run(another_protocol())),
        Trial::test("impostors::a_key_that_is_none", || run(a_key_that_is_none())),
        Trial::test("impostors::one_that_says_nothing", || run(one_that_says_nothing())),
    ]
}

/// Settings for a server that does this to everybody who connects.
async fn impostor(act: fn(TcpStream) -> futures_util::future::BoxFuture<'static, ()>) -> RepoOptions {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(act(stream));
        }
    });
    RepoOptions::server("mysql", "127.0.0.1", port, "d", "ada", "geheim").connect_timeout(Duration::from_secs(2))
}

async fn another_protocol() {
    let options = impostor(|mut stream| {
        Box::pin(async move {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        })
    });
    let options = options.await;
    for tls in [TlsMode::Disable, TlsMode::Prefer, TlsMode::Require] {
        let error = refused(options.clone().tls(tls)).await;
        why(&error);
        assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
    }
}

async fn one_that_says_nothing() {
    let options = impostor(|stream| {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            drop(stream);
        })
    });
    let error = refused(options.await.connect_timeout(Duration::from_millis(200))).await;
    assert_eq!(why(&error).1, ConnectFailure::Timeout, "{error}");
}

/// Asks for the password, and gives text for the key to encrypt it with.
async fn a_key_that_is_none() {
    let options = impostor(|mut stream| {
        Box::pin(async move {
            let _ = offer_a_wrong_key(&mut stream).await;
        })
    });
    let error = refused(options.await.tls(TlsMode::Disable)).await;
    assert_eq!(why(&error).1, ConnectFailure::Authentication, "{error}");
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
}

async fn offer_a_wrong_key(stream: &mut TcpStream) -> std::io::Result<()> {
    // Protocol 10, the version, a session's number, half of the nonce, capabilities (4.1, plugins, passwords apart),
    // utf8mb4, the status, the other capabilities, the length of the nonce, ten zeros, its other half, the plugin.
    let mut hello = b"\x0a9.9.9\0\x01\0\0\0abcdefgh\0\x08\xa2\xff\x02\0\x08\0\x15\0\0\0\0\0\0\0\0\0\0".to_vec();
    hello.extend(b"ijklmnopqrst\0caching_sha2_password\0");
    send(stream, 0, &hello).await?;
    let number = receive(stream).await?;
    send(stream, number + 1, b"\x01\x04").await?;
    let number = receive(stream).await?;
    send(stream, number + 1, b"\x01no key at all").await?;
    receive(stream).await?;
    Ok(())
}

/// Sends a message of the protocol: its length, its number, and what is in it.
async fn send(stream: &mut TcpStream, number: u8, message: &[u8]) -> std::io::Result<()> {
    let length = u8::try_from(message.len()).unwrap();
    stream.write_all(&[&[length, 0, 0, number], message].concat()).await
}

/// Reads a message, and gives its number.
async fn receive(stream: &mut TcpStream) -> std::io::Result<u8> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let length = usize::from(head[0]) | usize::from(head[1]) << 8;
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(head[3])
}
