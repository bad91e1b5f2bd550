//! DeregisterStreamConsumer: removes a consumer, named by its ARN or by its stream and name.

use crate::call::{Nothing, call};
use crate::shapes::{CONSUMER_ARN, CONSUMER_NAME, STREAM_ARN, STREAM_ID};
use crate::structure::structure;

structure! {
    /// A request of DeregisterStreamConsumer.
    DeregisterStreamConsumer {
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        consumer_name: Option<String> => "ConsumerName", CONSUMER_NAME;
        consumer_arn: Option<String> => "ConsumerARN", CONSUMER_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

call!(DeregisterStreamConsumer => Nothing);
