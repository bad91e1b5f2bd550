//! DescribeStreamConsumer: tells of a consumer, named by its ARN or by its stream and name.

use crate::call::call;
use crate::shapes::{CONSUMER_ARN, CONSUMER_NAME, STREAM_ARN, STREAM_ID};
use crate::structure::structure;
use crate::structures::ConsumerDescription;

structure! {
    /// A request of DescribeStreamConsumer.
    DescribeStreamConsumer {
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        consumer_name: Option<String> => "ConsumerName", CONSUMER_NAME;
        consumer_arn: Option<String> => "ConsumerARN", CONSUMER_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

structure! {
    /// An answer of DescribeStreamConsumer.
    DescribeStreamConsumerOutput {
        consumer_description: ConsumerDescription =>
            "ConsumerDescription", ConsumerDescription::SHAPE;
    }
}

call!(DescribeStreamConsumer => DescribeStreamConsumerOutput);
