//! RegisterStreamConsumer: makes a consumer with a rate of its own.

use std::collections::BTreeMap;

use crate::call::call;
use crate::shapes::{CONSUMER_NAME, STREAM_ARN, STREAM_ID, TAG_MAP};
use crate::structure::structure;
use crate::structures::Consumer;

structure! {
    /// A request of RegisterStreamConsumer.
    RegisterStreamConsumer {
        stream_arn: String => "StreamARN", STREAM_ARN;
        consumer_name: String => "ConsumerName", CONSUMER_NAME;
        stream_id: Option<String> => "StreamId", STREAM_ID;
        tags: Option<BTreeMap<String, String>> => "Tags", TAG_MAP;
    }
}

structure! {
    /// An answer of RegisterStreamConsumer.
    RegisterStreamConsumerOutput {
        consumer: Consumer => "Consumer", Consumer::SHAPE;
    }
}

call!(RegisterStreamConsumer => RegisterStreamConsumerOutput);
