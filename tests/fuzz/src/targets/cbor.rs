//! CBOR: what is read of it, written and read again, is the same; the same of JSON.

use wire::Encoding;
use wire::operations::get_records::GetRecordsOutput;
use wire::operations::list_shards::ListShards;
use wire::structure::{Structure, decode, encode};

pub(super) fn feed(input: &[u8]) {
    for encoding in [Encoding::Cbor, Encoding::Json] {
        // A number that is none is not even equal to itself.
        let _is_read = encoding.parse(input).is_ok();
        there_and_back::<GetRecordsOutput>(encoding, input);
        there_and_back::<ListShards>(encoding, input);
    }
}

fn there_and_back<T: Structure + PartialEq + std::fmt::Debug>(encoding: Encoding, body: &[u8]) {
    let Some(read) = decode::<T>(encoding, body) else { return };
    let written = encode(&read, encoding);
    assert_eq!(decode::<T>(encoding, &written).as_ref(), Some(&read));
}

/// A PutRecords of either length, a GetRecords' answer, a time.
pub(super) const BODIES: [&[u8]; 4] = [
    b"\xbf\x67Records\x9f\xbf\x64Data\x43\x01\x02\x03\x6cPartitionKey\x61k\xff\xff\x6aStreamName\x61a\xff",
    b"\xa1\x67Records\x81\xa2\x64Data\x43\x01\x02\x03\x6fExplicitHashKey\x6217",
    b"\xbf\x67Records\x9f\xbf\x6eSequenceNumber\x617\x64Data\x41\x01\xff\xff\x6bChildShards\x9f\xff\xff",
    b"\xbf\x77StreamCreationTimestamp\xc1\x1b\x00\x00\x01\x4f\x8f\x1e\x1b\x73\xff",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let json =
        br#"{"Records":[{"SequenceNumber":"7","Data":"AAAA","ApproximateArrivalTimestamp":1.25}]}"#;
    BODIES.iter().map(|body| body.to_vec()).chain([json.to_vec()]).collect()
}
