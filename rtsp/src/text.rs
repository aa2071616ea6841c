//! What a server says, fit to be repeated.

/// A server's text for messages and descriptions: each control character becomes U+FFFD. Terminals obey some of them, and
/// a database's JSON takes no zero.
pub(crate) fn printable(text: &str) -> String {
    text.replace(|character: char| character.is_ascii_control(), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_one_replacement_each_and_the_rest_stays() {
        assert_eq!(
            printable("Not\0Found\x1b[2J\r\n\x7f"),
            "Not\u{fffd}Found\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}"
        );
        assert_eq!(printable("Kamera für \u{85} Züge 🎥"), "Kamera für \u{85} Züge 🎥");
    }
}
