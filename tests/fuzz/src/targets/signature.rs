//! Signatures: only a request as it was signed verifies.

use wire::sigv4::{Authorization, Scope, SignatureTime, SignedParts, SigningKey, sign};

const NOW_S: u64 = 1_440_938_160;
const BODY: &[u8] = b"{}";

/// Lines: path, query, then headers.
pub(super) fn feed(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let mut lines = text.split('\n');
    let path = lines.next().unwrap_or_default();
    let query = lines.next().unwrap_or_default();
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let parts = SignedParts { method: "POST", path, query, headers: &headers, body: BODY };
    let found = match Authorization::read(&parts) {
        Ok(found) => found,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    if found.verify(&parts, &key(), NOW_S).is_ok() {
        // Whoever does not know the secret can change what is not signed, and nothing else.
        let target = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-amz-target"));
        assert_eq!(target.map(|(_, value)| value.trim()), Some(TARGET));
    }
}

const TARGET: &str = "Kinesis_20131202.ListStreams";

fn scope() -> Scope<'static> {
    Scope { date: "20150830".into(), region: "us-east-1".into(), service: "kinesis".into() }
}

fn key() -> SigningKey {
    SigningKey::derive("secret", &scope())
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let headers = [("Host", "a"), ("X-Amz-Date", "20150830T123600Z"), ("X-Amz-Target", TARGET)];
    let parts = SignedParts { method: "POST", path: "/", query: "", headers: &headers, body: BODY };
    let time = SignatureTime::of_unix_s(NOW_S);
    let signed = ["host", "x-amz-date", "x-amz-target"];
    let header = sign(&parts, &signed, "key", &scope(), &key(), time);
    let mut text = "/\n\n".to_owned();
    for (name, value) in headers {
        text += &format!("{name}:{value}\n");
    }
    text += &format!("Authorization:{header}");
    let query = "/\nX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=key%2F20150830%2Fus-east-1%2F\
                 kinesis%2Faws4_request&X-Amz-Signature=0&X-Amz-Date=20150830T123600Z&\
                 X-Amz-SignedHeaders=host&X-Amz-Expires=60\nHost:a";
    vec![text.into_bytes(), query.as_bytes().to_vec()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else no damaged one could prove anything.
    #[test]
    fn the_first_seed_verifies() {
        let seed = String::from_utf8(seeds().remove(0)).unwrap();
        let lines = seed.split('\n').skip(2).map(|line| line.split_once(':').unwrap());
        let headers: Vec<(&str, &str)> = lines.collect();
        let parts =
            SignedParts { method: "POST", path: "/", query: "", headers: &headers, body: BODY };
        let found = Authorization::read(&parts).unwrap();
        assert_eq!(found.verify(&parts, &key(), NOW_S), Ok(()));
    }
}
