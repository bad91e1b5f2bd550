//! AWS's own vectors, and what is refused.

use super::*;

const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const NOW_S: u64 = 1_440_938_160;

fn scope(service: &'static str) -> Scope<'static> {
    Scope { date: "20150830".into(), region: "us-east-1".into(), service: service.into() }
}

fn time() -> SignatureTime {
    SignatureTime::of_unix_s(NOW_S)
}

/// The requests of AWS's signing test suite, as text. A line that starts with a space belongs to
/// the header before.
const SUITE: &str = include_str!("../../golden/sigv4-test-suite.txt");

struct Vector {
    name: String,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Vector {
    fn read(text: &str) -> Self {
        let (name, text) = text.split_once('\n').unwrap();
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let (line, head) = head.split_once('\n').unwrap();
        let (method, target) = line.split_once(' ').unwrap();
        let target = target.strip_suffix(" HTTP/1.1").unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in head.lines() {
            if line.starts_with(' ') {
                headers.last_mut().unwrap().1.push_str(line);
            } else {
                let (name, value) = line.split_once(':').unwrap();
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let [name, method, path, query] = [name, method, path, query].map(str::to_owned);
        Self { name, method, path, query, headers, body: body.trim_end_matches('\n').to_owned() }
    }

    fn check(&self, with: impl FnOnce(&SignedParts<'_>)) {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let Self { method, path, query, body, .. } = self;
        with(&SignedParts { method, path, query, headers: &headers, body: body.as_bytes() });
    }
}

/// The suite signs for a service of its own, so the parts of `verify` are called one by one.
#[test]
fn signatures_of_the_suite_are_right() {
    let key = SigningKey::derive(SECRET, &scope("service"));
    let mut count = 0;
    for text in SUITE.split("=== ").skip(1) {
        let vector = Vector::read(text);
        vector.check(|parts| {
            let found = Authorization::read(parts).unwrap();
            assert_eq!(found.access_key, ACCESS_KEY);
            assert_eq!(found.scope, scope("service"));
            assert_eq!(found.time, time());
            let canonical = Canonical { parts, signed_headers: &found.signed_headers };
            let signed = string_to_sign(&canonical, found.time, &found.scope);
            let mut signature = String::new();
            write_hex(&hmac(&key.0, signed.as_bytes()), &mut signature);
            assert_eq!(signature, found.signature, "{}:\n{}", vector.name, canonical.text());
        });
        count += 1;
    }
    assert_eq!(count, 61);
}

const HEADERS: [(&str, &str); 4] = [
    ("Host", "localhost:4567"),
    ("X-Amz-Date", "20150830T123600Z"),
    ("X-Amz-Target", "Kinesis_20131202.ListStreams"),
    ("Content-Type", "application/x-amz-json-1.1"),
];
const SIGNED: [&str; 4] = ["content-type", "host", "x-amz-date", "x-amz-target"];

/// Changes a signed request.
type Change<'c> = &'c dyn Fn(&mut Vec<(&str, String)>, &mut Vec<u8>);

/// Why a request for Kinesis that we have signed does not hold, after a change.
fn with_signed(change: Change<'_>, now_s: u64) -> Option<SignatureError> {
    let mut body = b"{}".to_vec();
    let parts =
        SignedParts { method: "POST", path: "/", query: "", headers: &HEADERS, body: &body };
    let key = SigningKey::derive(SECRET, &scope(SERVICE));
    let header = sign(&parts, &SIGNED, ACCESS_KEY, &scope(SERVICE), &key, time());
    let mut headers: Vec<(&str, String)> =
        HEADERS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    headers.push(("Authorization", header));
    change(&mut headers, &mut body);
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (*name, &**value)).collect();
    let parts =
        SignedParts { method: "POST", path: "/", query: "", headers: &headers, body: &body };
    match Authorization::read(&parts) {
        Ok(found) => found.verify(&parts, &key, now_s).err(),
        Err(error) => Some(error),
    }
}

#[test]
fn what_we_sign_is_what_botocore_signs() {
    let parts =
        SignedParts { method: "POST", path: "/", query: "", headers: &HEADERS, body: b"{}" };
    let key = SigningKey::derive(SECRET, &scope(SERVICE));
    let found = sign(&parts, &SIGNED, ACCESS_KEY, &scope(SERVICE), &key, time());
    assert_eq!(found, BOTOCORE);
}

/// Made by botocore 1.43.11 of the same request.
const BOTOCORE: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/kinesis/aws4_request, \
    SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
    Signature=e68271766c5efcc995e5093608a0e56985dfa81e9c28d12aa65cd170061caff4";

#[test]
fn signed_requests_hold_for_five_minutes_either_way() {
    let check = |now_s: u64, expected: Option<&str>| {
        let found = with_signed(&|_, _| {}, now_s).map(|error| error.to_string());
        assert_eq!(found.as_deref(), expected);
    };
    check(NOW_S, None);
    check(NOW_S + 300, None);
    check(NOW_S - 300, None);
    check(
        NOW_S + 301,
        Some(
            "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
              (20150830T124101Z - 5 min.)",
        ),
    );
    check(
        NOW_S - 301,
        Some(
            "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z \
              (20150830T123059Z + 5 min.)",
        ),
    );
}

#[test]
fn changed_requests_do_not_hold() {
    let check = |change: Change<'_>, expected: &SignatureError| {
        assert_eq!(with_signed(change, NOW_S).as_ref(), Some(expected));
    };
    check(&|_, body| body[1] = b' ', &SignatureError::Mismatch);
    check(&|headers, _| headers[2].1 += "x", &SignatureError::Mismatch);
    check(&|headers, _| drop(headers.remove(2)), &SignatureError::Mismatch);
    check(&|headers, _| headers[4].1 += "0", &SignatureError::Mismatch);
    let change = |from: &'static str, to: &'static str| {
        move |headers: &mut Vec<(&str, String)>, _: &mut Vec<u8>| {
            headers[4].1 = headers[4].1.replace(from, to);
        }
    };
    check(&change("content-type;host;", "content-type;"), &SignatureError::HostNotSigned);
    check(&change("us-east-1", "us-east-2"), &SignatureError::Mismatch);
    check(&change("/kinesis/", "/sqs/"), &SignatureError::OtherService { service: "sqs".into() });
    let other = SignatureError::OtherDate { date: "20150831".into(), time: time().text() };
    check(&change("20150830", "20150831"), &other);
}

/// What reading a signature is refused with.
fn check_refused(query: &str, headers: &[(&str, &str)], code: &str, text: &str) {
    let parts = SignedParts { method: "POST", path: "/", query, headers, body: b"{}" };
    let error = Authorization::read(&parts).unwrap_err();
    assert_eq!(error.code(), code);
    assert_eq!(error.to_string(), text);
}

const INCOMPLETE: &str = "IncompleteSignatureException";

/// As kinesalite 3.3.3's tests have it from AWS.
#[test]
fn incomplete_signatures() {
    let (missing, text) = ("MissingAuthenticationTokenException", "Missing Authentication Token");
    check_refused("", &[], missing, text);
    let four = "X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-SignedHeaders=c&X-Amz-Date=d";
    check_refused(four, &[], missing, text);
    let header = "Authorization header requires 'Credential' parameter. Authorization header \
                  requires 'Signature' parameter. Authorization header requires 'SignedHeaders' \
                  parameter. Authorization header requires existence of either a 'X-Amz-Date' or a \
                  'Date' header. Authorization=X";
    check_refused("", &[("Authorization", "X")], INCOMPLETE, header);
    check_refused("X-Amz-Algorith", &[("Authorization", "X")], INCOMPLETE, header);
    check_refused(
        "X-Amz-Algorithm",
        &[("Authorization", "X")],
        "InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    );
    for separator in [" ", ",", ", "] {
        let value = format!("AWS4- Signature=b{separator}Credential=a");
        let text = format!(
            "Authorization header requires 'SignedHeaders' parameter. Authorization={value}"
        );
        check_refused("", &[("Authorization", &value), ("Date", "a")], INCOMPLETE, &text);
    }
    check_refused(
        "X-Amz-Algorithm",
        &[],
        INCOMPLETE,
        "AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query-string parameters \
         must include 'X-Amz-Credential'. AWS query-string parameters must include \
         'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS \
         query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters.",
    );
    check_refused(
        "X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d",
        &[],
        INCOMPLETE,
        "AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the \
         query-string parameters.",
    );
}

#[test]
fn what_else_makes_signatures_incomplete() {
    let header = |algorithm: &str, credential: &str| {
        format!("{algorithm} Credential={credential}, SignedHeaders=host, Signature=0")
    };
    let of = |value: &str, date: &str, text: &str| {
        check_refused("", &[("Authorization", value), ("Date", date)], INCOMPLETE, text);
    };
    of(&header("AWS4", "a"), "a", "Unsupported AWS 'algorithm': 'AWS4'.");
    of(
        &header(ALGORITHM, "a/b"),
        "a",
        "Credential must have exactly 5 slash-delimited elements, e.g. \
         keyid/date/region/service/term, got 'a/b'",
    );
    of(
        &header(ALGORITHM, "a/b/c/d/aws4_request"),
        "a",
        "Date must be in ISO-8601 'basic format'. Got 'a'. See http://en.wikipedia.org/wiki/ISO_8601",
    );
    let expires = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/c/d/aws4_request&\
                   X-Amz-Signature=c&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host&\
                   X-Amz-Expires=604801";
    let text = "X-Amz-Expires must be a number between 0 and 604800. Got '604801'.";
    check_refused(expires, &[], INCOMPLETE, text);
}

#[test]
fn a_date_header_will_do() {
    let change = |headers: &mut Vec<(&str, String)>, _: &mut Vec<u8>| {
        headers[1] = ("Date", "Sun, 30 Aug 2015 12:36:00 GMT".to_owned());
    };
    // The signature covers the header that is gone.
    assert_eq!(with_signed(&change, NOW_S), Some(SignatureError::Mismatch));
}
