//! Where a request says who signs it: the `Authorization` header or the query.

use std::borrow::Cow;

use super::canonical::pairs;
use super::error::SignatureError;
use super::time::SignatureTime;
use super::{ALGORITHM, Authorization, Scope, SignedParts, TERMINATOR};

/// Longest life of a signature in a query, seconds: a week. Source: AWS, "query string parameters".
const EXPIRES_S_MAX: u64 = 604_800;

impl<'a> Authorization<'a> {
    /// Reads who signs. Whether rightly is for [`Authorization::verify`] to say.
    ///
    /// # Errors
    /// [`SignatureError::Missing`] where nobody signs, else what is wrong with it.
    pub fn read(parts: &SignedParts<'a>) -> Result<Self, SignatureError> {
        let header = parts.header("authorization").filter(|text| !text.is_empty());
        let query: Vec<(String, String)> = pairs(parts.query).collect();
        let is_in_query = query.iter().any(|(name, _)| name == "X-Amz-Algorithm");
        match (header, is_in_query) {
            (Some(_), true) => Err(SignatureError::BothPlaces),
            (Some(header), false) => read_header(header, parts),
            (None, true) => read_query(query),
            (None, false) => Err(SignatureError::Missing),
        }
    }
}

fn read_header<'a>(
    header: &'a str,
    parts: &SignedParts<'a>,
) -> Result<Authorization<'a>, SignatureError> {
    let (algorithm, fields) = header.split_once([' ', ',']).unwrap_or((header, ""));
    let field = |name: &str| {
        let mut values = fields.split([' ', ',']).filter_map(|field| field.split_once('='));
        // The last one counts, and an empty one is none.
        let found = values.rfind(|(other, _)| *other == name);
        found.map(|(_, value)| value).filter(|value| !value.is_empty())
    };
    let date =
        parts.header("x-amz-date").or_else(|| parts.header("date")).filter(|d| !d.is_empty());
    let found = ["Credential", "Signature", "SignedHeaders"].map(|name| (name, field(name)));
    let [Some(credential), Some(signature), Some(signed_headers)] = found.map(|(_, value)| value)
    else {
        return Err(incomplete_header(&found, date, header));
    };
    let Some(date) = date else { return Err(incomplete_header(&found, date, header)) };
    check_algorithm(algorithm)?;
    let (access_key, scope) = read_credential(credential.into())?;
    let time = SignatureTime::parse(date).or_else(|| SignatureTime::parse_http(date));
    let time = time.ok_or_else(|| SignatureError::Date { date: date.into() })?;
    let signed_headers = signed_headers.split(';').map(Cow::Borrowed).collect();
    let signature = signature.into();
    Ok(Authorization { access_key, scope, time, expires_s: None, signed_headers, signature })
}

#[cold]
fn incomplete_header(
    found: &[(&'static str, Option<&str>)],
    date: Option<&str>,
    header: &str,
) -> SignatureError {
    SignatureError::IncompleteHeader {
        missing: found.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect(),
        has_date: date.is_some(),
        header: crate::typed::shown(header),
    }
}

fn read_query<'a>(query: Vec<(String, String)>) -> Result<Authorization<'a>, SignatureError> {
    const NAMES: [&str; 5] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
        "X-Amz-Date",
    ];
    let value = |wanted: &str| {
        let found = query.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let [Some(algorithm), Some(credential), Some(signature), Some(signed_headers), Some(date)] =
        NAMES.map(value)
    else {
        let missing = NAMES.into_iter().filter(|name| value(name).is_none()).collect();
        return Err(SignatureError::IncompleteQuery { missing });
    };
    check_algorithm(&algorithm)?;
    let (access_key, scope) = read_credential(credential.into())?;
    let time = SignatureTime::parse(&date);
    let time = time.ok_or_else(|| SignatureError::Date { date: crate::typed::shown(&date) })?;
    let expires_s = value("X-Amz-Expires").map(read_expires).transpose()?;
    let signed_headers =
        signed_headers.split(';').map(|name| Cow::Owned(name.to_owned())).collect();
    let signature = signature.into();
    Ok(Authorization { access_key, scope, time, expires_s, signed_headers, signature })
}

fn read_expires(text: String) -> Result<u64, SignatureError> {
    let number = text.parse().ok().filter(|number| *number <= EXPIRES_S_MAX);
    number.ok_or_else(|| SignatureError::Expires { expires: crate::typed::shown(&text) })
}

fn check_algorithm(algorithm: &str) -> Result<(), SignatureError> {
    if algorithm == ALGORITHM {
        return Ok(());
    }
    Err(SignatureError::Algorithm { algorithm: crate::typed::shown(algorithm) })
}

/// `KEY/20150830/us-east-1/kinesis/aws4_request`
fn read_credential(credential: Cow<'_, str>) -> Result<(Cow<'_, str>, Scope<'_>), SignatureError> {
    let parts: Vec<Cow<'_, str>> = match &credential {
        Cow::Borrowed(text) => text.split('/').map(Cow::Borrowed).collect(),
        Cow::Owned(text) => text.split('/').map(|part| Cow::Owned(part.to_owned())).collect(),
    };
    let Ok([access_key, date, region, service, terminator]) = <[Cow<'_, str>; 5]>::try_from(parts)
    else {
        return Err(SignatureError::Credential { credential: crate::typed::shown(&credential) });
    };
    if terminator != TERMINATOR {
        return Err(SignatureError::Terminator { terminator: crate::typed::shown(&terminator) });
    }
    Ok((access_key, Scope { date, region, service }))
}
