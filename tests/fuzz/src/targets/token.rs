//! Tokens and ARNs: what opens is what was sealed, and everything else is refused.

use model::{AccountId, RecordIndex, Region, ShardIndex, StreamName};
use wire::Operation;
use wire::arn::{ConsumerArn, StreamArn};
use wire::next_token::NextToken;
use wire::pattern::Pattern;
use wire::shard_iterator::ShardIterator;
use wire::token::TokenKey;

const NOW_MS: u64 = 1_583_283_760_123;

pub(super) fn feed(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    if let Ok(iterator) = ShardIterator::open(text, &key(), NOW_MS) {
        assert_eq!(iterator.seal(&key()), text.trim_matches('"'));
    }
    if let Ok(token) = NextToken::open(text, Operation::ListShards, &key(), NOW_MS) {
        assert_eq!(token.seal(&key()), text);
    }
    // What we take for an ARN is one by the model's pattern too.
    if StreamArn::parse(text).is_some() {
        assert!(Pattern::StreamArn.matches(text));
    }
    if ConsumerArn::parse(text).is_some() {
        assert!(Pattern::ConsumerArn.matches(text));
    }
}

fn key() -> TokenKey {
    TokenKey::new(&[7; 32])
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let stream = StreamArn {
        region: Region::new("us-east-1").expect("a region"),
        account: AccountId::DEFAULT,
        name: StreamName::new("orders").expect("a name"),
    };
    let iterator = ShardIterator {
        account: stream.account,
        region: stream.region.clone(),
        stream: stream.name.clone(),
        stream_number: 3,
        shard: ShardIndex::new(1),
        index: RecordIndex::new(5),
        created_ms: NOW_MS,
    };
    let operation = Operation::ListShards;
    let token = NextToken { operation, place: b"place".to_vec(), created_ms: NOW_MS };
    let consumer = ConsumerArn { name: stream.name.clone(), created_s: 17, stream: stream.clone() };
    let texts = [
        iterator.seal(&key()),
        format!("\"{}\"", iterator.seal(&key())),
        token.seal(&key()),
        stream.to_string(),
        consumer.to_string(),
    ];
    texts.map(String::into_bytes).to_vec()
}
