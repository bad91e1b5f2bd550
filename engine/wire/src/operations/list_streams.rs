//! ListStreams: lists streams, page by page.

use crate::call::call;
use crate::shapes::{BOOLEAN, LIMIT, NEXT_TOKEN, STREAM_NAME, list};
use crate::structure::structure;
use crate::structures::StreamSummary;

structure! {
    /// A request of ListStreams.
    ListStreams {
        limit: Option<i32> => "Limit", LIMIT;
        exclusive_start_stream_name: Option<String> => "ExclusiveStartStreamName", STREAM_NAME;
        next_token: Option<String> => "NextToken", NEXT_TOKEN;
    }
}

structure! {
    /// An answer of ListStreams.
    ListStreamsOutput {
        stream_names: Vec<String> => "StreamNames", list(&STREAM_NAME);
        has_more_streams: bool => "HasMoreStreams", BOOLEAN;
        next_token: Option<String> => "NextToken", NEXT_TOKEN;
        stream_summaries: Option<Vec<StreamSummary>> =>
            "StreamSummaries", list(&StreamSummary::SHAPE);
    }
}

call!(ListStreams => ListStreamsOutput);
