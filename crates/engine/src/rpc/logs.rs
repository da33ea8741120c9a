//! Which logs a filter matches.

use alloy_primitives::{keccak256, Address, Bloom, Log, B256};

use super::error::{RpcError, LIMIT};
use super::limits::{LOG_BYTES, LOG_RESULTS};
use super::params::LogFilter;
use super::view::{block_logs, LogView};
use crate::chain::CommittedBlock;

/// The conditions of a filter. An empty list of alternatives matches everything.
#[derive(Clone, Debug, Default)]
pub struct LogMatcher {
    addresses: Vec<Address>,
    topics: Vec<Vec<B256>>,
    /// Where the addresses and topics are in a block's bloom filter. Hashed once, as a query looks at very many blocks.
    bloom_addresses: Vec<BloomBits>,
    bloom_topics: Vec<Vec<BloomBits>>,
}

/// The three bits that an address or topic sets in a bloom filter (yellow paper, 4.3.1).
#[derive(Clone, Copy, Debug)]
struct BloomBits([u16; 3]);

impl BloomBits {
    fn of(bytes: &[u8]) -> Self {
        let hash = keccak256(bytes);
        Self([0, 2, 4].map(|at| u16::from_be_bytes([hash[at], hash[at + 1]]) & 0x7ff))
    }

    fn are_in(self, bloom: &Bloom) -> bool {
        // Bits are counted from the end of the last byte.
        self.0.iter().all(|bit| bloom[Bloom::len_bytes() - 1 - usize::from(bit / 8)] & (1 << (bit % 8)) != 0)
    }
}

impl LogMatcher {
    pub fn new(filter: LogFilter) -> Self {
        let mut addresses = filter.address;
        addresses.sort_unstable();
        addresses.dedup();
        let mut topics = filter.topics;
        for alternatives in &mut topics {
            alternatives.sort_unstable();
            alternatives.dedup();
        }
        let bloom_addresses = addresses.iter().map(|address| BloomBits::of(address.as_slice())).collect();
        let bits_of = |topics: &Vec<B256>| topics.iter().map(|topic| BloomBits::of(topic.as_slice())).collect();
        let bloom_topics = topics.iter().map(bits_of).collect();
        Self { addresses, topics, bloom_addresses, bloom_topics }
    }

    /// False if no log under this bloom filter can match.
    fn may_match(&self, bloom: &Bloom) -> bool {
        let any = |bits: &[BloomBits]| bits.is_empty() || bits.iter().any(|bits| bits.are_in(bloom));
        any(&self.bloom_addresses) && self.bloom_topics.iter().all(|alternatives| any(alternatives))
    }

    fn matches(&self, log: &Log) -> bool {
        let topics = log.topics();
        (self.addresses.is_empty() || self.addresses.binary_search(&log.address).is_ok())
            && self.topics.len() <= topics.len()
            && self
                .topics
                .iter()
                .zip(topics)
                .all(|(alternatives, topic)| alternatives.is_empty() || alternatives.binary_search(topic).is_ok())
    }

    /// The block's logs that match, with the index of their transaction and their index in the block.
    pub fn filter<'a>(&'a self, block: &'a CommittedBlock) -> impl Iterator<Item = (&'a Log, usize, usize)> {
        let candidate = self.may_match(&block.header().logs_bloom);
        candidate.then(|| block_logs(block)).into_iter().flatten().filter(|(log, _, _)| self.matches(log))
    }
}

/// A JSON array of logs, bounded in number and size. The logs of one block alone are never refused, however many: otherwise
/// a player who floods a block with logs would blind those who follow the session by its logs.
pub struct LogCollector {
    json: Vec<u8>,
    count: usize,
}

impl LogCollector {
    pub fn new() -> Self {
        Self { json: vec![b'['], count: 0 }
    }

    /// Appends the block's logs that match. On an error the array is as it was.
    pub fn add(&mut self, matcher: &LogMatcher, block: &CommittedBlock) -> Result<(), RpcError> {
        let (length, count) = (self.json.len(), self.count);
        let added = self.append(matcher, block);
        if added.is_err() {
            self.json.truncate(length);
            self.count = count;
        }
        added
    }

    fn append(&mut self, matcher: &LogMatcher, block: &CommittedBlock) -> Result<(), RpcError> {
        let bounded = self.count > 0;
        for (log, transaction, index) in matcher.filter(block) {
            // Clients that page (viem, MUD) know these words and ask for fewer blocks.
            if bounded && self.count >= LOG_RESULTS {
                return Err(RpcError::new(LIMIT, format!("query exceeds max results {LOG_RESULTS}")));
            }
            // Each byte of data is two of JSON: checked before it is written.
            if bounded && self.json.len() + 2 * log.data.data.len() > LOG_BYTES {
                return Err(RpcError::new(
                    LIMIT,
                    format!("query exceeds max results: response over {LOG_BYTES} bytes"),
                ));
            }
            if self.count > 0 {
                self.json.push(b',');
            }
            serde_json::to_writer(&mut self.json, &LogView::of(block, log, transaction, index))
                .map_err(|error| RpcError::internal(error.to_string()))?;
            self.count += 1;
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn finish(mut self) -> Result<String, RpcError> {
        self.json.push(b']');
        String::from_utf8(self.json).map_err(|error| RpcError::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{BloomInput, Bytes};

    fn log(address: u8, topics: &[u8]) -> Log {
        let topics = topics.iter().map(|topic| B256::repeat_byte(*topic)).collect();
        Log::new_unchecked(Address::repeat_byte(address), topics, Bytes::new())
    }

    fn matcher(addresses: &[u8], topics: &[&[u8]]) -> LogMatcher {
        LogMatcher::new(LogFilter {
            address: addresses.iter().map(|byte| Address::repeat_byte(*byte)).collect(),
            topics: topics.iter().map(|some| some.iter().map(|topic| B256::repeat_byte(*topic)).collect()).collect(),
            ..LogFilter::default()
        })
    }

    #[test]
    fn bits_in_the_bloom_filter_are_those_of_the_library() {
        for byte in 0..=255 {
            let bytes = [byte; 20];
            let bloom = Bloom::from(BloomInput::Raw(&bytes));
            assert!(BloomBits::of(&bytes).are_in(&bloom));
            let other = BloomBits::of(&[byte; 32]);
            assert_eq!(other.are_in(&bloom), bloom.contains_input(BloomInput::Raw(&[byte; 32])));
        }
    }

    #[test]
    fn topics_are_positions_of_alternatives() {
        let log = log(1, &[10, 20]);
        type Case<'a> = (&'a [u8], &'a [&'a [u8]], bool);
        let cases: [Case<'_>; 10] = [
            (&[], &[], true),
            (&[1], &[], true),
            (&[3, 2, 1], &[], true),
            (&[2], &[], false),
            (&[], &[&[10]], true),
            (&[], &[&[20]], false),
            (&[], &[&[], &[30, 20]], true),
            (&[], &[&[], &[], &[]], false),
            (&[1], &[&[11, 10], &[20]], true),
            (&[1], &[&[11, 10], &[21]], false),
        ];
        let bloom = stf::logs_bloom([&log]);
        for (addresses, topics, expected) in cases {
            let matcher = matcher(addresses, topics);
            assert_eq!(matcher.matches(&log), expected, "{addresses:?} {topics:?}");
            assert!(matcher.may_match(&bloom) || !expected, "{addresses:?} {topics:?}");
        }
        assert!(!matcher(&[2], &[]).may_match(&bloom));
        assert!(!matcher(&[], &[&[30]]).may_match(&bloom));
    }
}
