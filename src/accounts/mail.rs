//! Mail: sent to a relay, or written to a folder in development. What is in it may be secret: it is never logged.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::{FileTransport, Message, SmtpTransport, Transport};

/// A relay that says nothing for so long is away.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends mail.
pub(crate) struct Mailer {
    from: Mailbox,
    way: Way,
}

enum Way {
    Folder(FileTransport),
    Relay(SmtpTransport),
}

/// Why mail is not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailError {
    /// The configuration names no address.
    #[error("mail.from: {0:?} is not a mail address")]
    From(String),
    /// The recipient has none.
    #[error("the recipient has no usable address")]
    Recipient,
    /// The folder or the relay refuses.
    #[error("mail could not be handed over: {0}")]
    Refused(String),
}

impl Mailer {
    /// Writes mail to a folder, closed to others.
    ///
    /// # Errors
    /// What the configuration or the file system says.
    pub(crate) fn to_folder(from: &str, folder: &Path) -> Result<Self, MailError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| MailError::Refused(error.to_string()))?;
        Ok(Self { from: sender(from)?, way: Way::Folder(FileTransport::new(folder)) })
    }

    /// Sends mail to a relay, without TLS.
    ///
    /// # Errors
    /// When the configuration names no address.
    pub(crate) fn to_relay(from: &str, (host, port): &(String, u16)) -> Result<Self, MailError> {
        let relay = SmtpTransport::builder_dangerous(host).port(*port).timeout(Some(PATIENCE)).build();
        Ok(Self { from: sender(from)?, way: Way::Relay(relay) })
    }

    /// Sends one mail. Blocks.
    ///
    /// # Errors
    /// When it was not handed over.
    pub(crate) fn send(&self, to: &str, subject: &str, text: String) -> Result<(), MailError> {
        let message = Message::builder()
            .from(self.from.clone())
            .to(to.parse().map_err(|_| MailError::Recipient)?)
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|error| MailError::Refused(error.to_string()))?;
        match &self.way {
            Way::Folder(folder) => folder.send(&message).map(drop).map_err(|error| error.to_string()),
            Way::Relay(relay) => relay.send(&message).map(drop).map_err(|error| error.to_string()),
        }
        .map_err(MailError::Refused)
    }
}

fn sender(from: &str) -> Result<Mailbox, MailError> {
    from.parse().map_err(|_| MailError::From(from.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn in_development_mail_is_a_file_in_a_private_folder() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("mail");
        let mailer = Mailer::to_folder("Kinora <kinora@localhost>", &place).unwrap();
        mailer.send("ada@example.org", "Hello", "a word".into()).unwrap();
        assert_eq!(std::fs::metadata(&place).unwrap().mode() & 0o777, 0o700);
        let file = std::fs::read_dir(&place).unwrap().next().unwrap().unwrap().path();
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains("To: ada@example.org") && text.contains("a word"), "{text}");
        assert!(matches!(mailer.send("no address", "x", String::new()), Err(MailError::Recipient)));
        assert!(matches!(Mailer::to_folder("nobody", &place), Err(MailError::From(_))));
    }

    #[test]
    fn a_relay_is_spoken_to_by_smtp() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let relay = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let lines = BufReader::new(socket.try_clone().unwrap()).lines();
            socket.write_all(b"220 relay\r\n").unwrap();
            let (mut said, mut in_data) = (Vec::new(), false);
            for line in lines.map_while(Result::ok) {
                let answer: &[u8] = match (&line[..], in_data) {
                    ("DATA", _) => b"354 go on\r\n",
                    (".", true) => b"250 taken\r\n",
                    ("QUIT", false) => b"221 bye\r\n",
                    (_, true) => b"",
                    _ => b"250 ok\r\n",
                };
                in_data = (in_data || line == "DATA") && line != ".";
                socket.write_all(answer).unwrap();
                said.push(line);
                if said.last().is_some_and(|line| line == ".") {
                    break;
                }
            }
            said
        });
        let mailer = Mailer::to_relay("kinora@localhost", &("127.0.0.1".into(), port)).unwrap();
        mailer.send("ada@example.org", "Hello", "a word".into()).unwrap();
        let said = relay.join().unwrap();
        assert!(said.iter().any(|line| line == "RCPT TO:<ada@example.org>"), "{said:?}");
        assert!(said.iter().any(|line| line == "a word"), "{said:?}");
    }
}
