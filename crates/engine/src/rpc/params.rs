//! Positional parameters and the types that methods take.

use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization, BlockId, BlockNumberOrTag};
use alloy_primitives::map::{AddressMap, B256Map, HashMap};
use alloy_primitives::{Address, Bytes, TxKind, B256, U256, U64};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::RpcError;
use super::limits::LOG_ALTERNATIVES;

/// The elements of a `params` array, unparsed.
pub struct Params<'a>(Vec<&'a RawValue>);

impl<'a> Params<'a> {
    /// Absent and null parameters are an empty list.
    pub fn new(raw: Option<&'a str>, most: usize) -> Result<Self, RpcError> {
        let items: Vec<&RawValue> = match raw {
            None | Some("null") => Vec::new(),
            Some(text) if text.starts_with('[') => {
                serde_json::from_str(text).map_err(|error| RpcError::invalid_params(error.to_string()))?
            }
            Some(_) => return Err(RpcError::invalid_params("non-array args")),
        };
        if items.len() > most {
            return Err(RpcError::invalid_params(format!("too many arguments, want at most {most}")));
        }
        Ok(Self(items))
    }

    /// The argument at `index`; `null` counts as missing.
    pub fn optional<T: Deserialize<'a>>(&self, index: usize) -> Result<Option<T>, RpcError> {
        match self.0.get(index).map(|raw| raw.get()) {
            None | Some("null") => Ok(None),
            Some(text) => serde_json::from_str(text).map(Some).map_err(|error| {
                RpcError::invalid_params(format!("invalid argument {index}: {}", without_position(&error)))
            }),
        }
    }

    pub fn required<T: Deserialize<'a>>(&self, index: usize) -> Result<T, RpcError> {
        self.optional(index)?
            .ok_or_else(|| RpcError::invalid_params(format!("missing value for required argument {index}")))
    }

    /// The block at `index`, `latest` if it is missing.
    pub fn block(&self, index: usize) -> Result<BlockId, RpcError> {
        Ok(self.optional(index)?.unwrap_or_default())
    }

    pub fn block_number(&self, index: usize) -> Result<BlockNumberOrTag, RpcError> {
        self.required(index)
    }

    pub fn quantity(&self, index: usize) -> Result<u64, RpcError> {
        Ok(self.required::<U64>(index)?.to())
    }
}

fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(position) => text[..position].to_owned(),
        None => text,
    }
}

/// The transaction object of eth_call and its kin. Unknown members are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TransactionRequest {
    pub from: Option<Address>,
    pub to: Option<Address>,
    pub gas: Option<U64>,
    pub gas_price: Option<U256>,
    pub max_fee_per_gas: Option<U256>,
    pub max_priority_fee_per_gas: Option<U256>,
    pub value: Option<U256>,
    pub nonce: Option<U64>,
    pub chain_id: Option<U256>,
    pub data: Option<Bytes>,
    pub input: Option<Bytes>,
    pub access_list: Option<AccessList>,
    pub authorization_list: Option<Vec<SignedAuthorization>>,
    pub blob_versioned_hashes: Option<Vec<B256>>,
}

impl TransactionRequest {
    /// Checks what contradicts itself or the session, and makes the request that the state-transition function takes.
    pub fn into_call(self, chain_id: u64, gas_cap: u64) -> Result<stf::CallRequest, RpcError> {
        if self.data.is_some() && self.input.is_some() && self.data != self.input {
            return Err(RpcError::invalid_params(
                "both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass transaction call data",
            ));
        }
        if self.gas_price.is_some() && (self.max_fee_per_gas.is_some() || self.max_priority_fee_per_gas.is_some()) {
            return Err(RpcError::invalid_params("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"));
        }
        if self.blob_versioned_hashes.is_some_and(|hashes| !hashes.is_empty()) {
            return Err(RpcError::server("transaction type not supported"));
        }
        if let Some(have) = self.chain_id.filter(|have| *have != U256::from(chain_id)) {
            return Err(RpcError::server(format!("chainId does not match node's (have={have}, want={chain_id})")));
        }
        if let (Some(fee), Some(tip)) = (self.max_fee_per_gas, self.max_priority_fee_per_gas) {
            if !fee.is_zero() && fee < tip {
                return Err(RpcError::server(format!(
                    "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {fee}"
                )));
            }
        }
        // The base fee is zero, so what is paid is the tip, up to the maximum.
        let price = match (self.gas_price, self.max_fee_per_gas, self.max_priority_fee_per_gas) {
            (Some(price), _, _) => price,
            (None, Some(fee), Some(tip)) => fee.min(tip),
            _ => U256::ZERO,
        };
        let authorization_list = self.authorization_list.unwrap_or_default();
        if !authorization_list.is_empty() && self.to.is_none() {
            return Err(RpcError::server("EIP-7702 transaction cannot be used to create contract"));
        }
        Ok(stf::CallRequest {
            from: self.from.unwrap_or_default(),
            to: self.to.map_or(TxKind::Create, TxKind::Call),
            gas_limit: self.gas.map_or(gas_cap, |gas| gas.to::<u64>().min(gas_cap)),
            gas_price: price.try_into().map_err(|_| RpcError::invalid_params("gas price is out of range"))?,
            value: self.value.unwrap_or_default(),
            data: self.input.or(self.data).unwrap_or_default(),
            nonce: self.nonce.map(|nonce| nonce.to()),
            access_list: self.access_list.unwrap_or_default(),
            authorization_list,
        })
    }
}

/// Changes to the state before a call is simulated (geth).
pub type StateOverride = AddressMap<AccountOverride>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountOverride {
    pub nonce: Option<U64>,
    pub code: Option<Bytes>,
    pub balance: Option<U256>,
    /// The whole storage.
    pub state: Option<B256Map<B256>>,
    /// Single slots.
    pub state_diff: Option<B256Map<B256>>,
    pub move_precompile_to_address: Option<Address>,
}

/// Changes to the block in which a call is simulated (geth). Unknown members are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BlockOverride {
    #[serde(alias = "blockNumber")]
    pub number: Option<U64>,
    #[serde(alias = "timestamp")]
    pub time: Option<U64>,
    pub gas_limit: Option<U64>,
    #[serde(alias = "coinbase")]
    pub fee_recipient: Option<Address>,
    #[serde(alias = "random")]
    pub prev_randao: Option<B256>,
    #[serde(alias = "baseFee")]
    pub base_fee_per_gas: Option<U64>,
    /// For BLOCKHASH.
    pub block_hash: Option<HashMap<U64, B256>>,
}

/// The filter object of eth_getLogs, eth_newFilter and the `logs` subscription.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LogFilter {
    pub from_block: Option<BlockNumberOrTag>,
    pub to_block: Option<BlockNumberOrTag>,
    pub block_hash: Option<B256>,
    #[serde(deserialize_with = "addresses")]
    pub address: Vec<Address>,
    /// For each position the alternatives; an empty list matches everything.
    #[serde(deserialize_with = "topics")]
    pub topics: Vec<Vec<B256>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Address>, D::Error> {
    use serde::de::Error;
    let addresses = match Option::<OneOrMany<Address>>::deserialize(deserializer) {
        Ok(None) => Vec::new(),
        Ok(Some(OneOrMany::One(address))) => vec![address],
        Ok(Some(OneOrMany::Many(addresses))) => addresses,
        Err(_) => return Err(D::Error::custom("invalid addresses in query")),
    };
    if addresses.len() > LOG_ALTERNATIVES {
        return Err(D::Error::custom(format!("exceed max addresses: limit {LOG_ALTERNATIVES}")));
    }
    Ok(addresses)
}

fn topics<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<B256>>, D::Error> {
    use serde::de::Error;
    let positions: Vec<Option<OneOrMany<Option<B256>>>> = match Option::deserialize(deserializer) {
        Ok(positions) => positions.unwrap_or_default(),
        Err(_) => return Err(D::Error::custom("invalid topic(s)")),
    };
    if positions.len() > 4 {
        return Err(D::Error::custom("exceed max topics"));
    }
    positions
        .into_iter()
        .map(|position| match position {
            None | Some(OneOrMany::One(None)) => Ok(Vec::new()),
            Some(OneOrMany::One(Some(topic))) => Ok(vec![topic]),
            Some(OneOrMany::Many(topics)) if topics.len() > LOG_ALTERNATIVES => {
                Err(D::Error::custom(format!("exceed max topics: limit {LOG_ALTERNATIVES}")))
            }
            // A null among the alternatives matches everything.
            Some(OneOrMany::Many(topics)) => Ok(topics.into_iter().collect::<Option<Vec<_>>>().unwrap_or_default()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Result<LogFilter, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn params_are_positional_and_counted() {
        let params = Params::new(Some(r#"["0x10", null]"#), 3).unwrap();
        assert_eq!(params.quantity(0).unwrap(), 16);
        assert_eq!(params.quantity(1).unwrap_err().message, "missing value for required argument 1");
        assert_eq!(params.block(2).unwrap(), BlockId::latest());
        for text in ["{}", "1", "\"a\""] {
            assert_eq!(Params::new(Some(text), 3).err().unwrap(), RpcError::invalid_params("non-array args"));
        }
        assert!(Params::new(Some("[1,2]"), 1).is_err());
        assert!(Params::new(None, 0).is_ok());
    }

    #[test]
    fn blocks_are_tags_numbers_hashes_or_objects() {
        let hash = format!("0x{}", "ab".repeat(32));
        let text = format!(
            r#"["pending", "0x7", "{hash}", {{"blockHash":"{hash}","requireCanonical":true}}, {{"blockNumber":"0x8"}}, "7", "late"]"#
        );
        let params = Params::new(Some(&text), 7).unwrap();
        assert_eq!(params.block(0).unwrap(), BlockId::pending());
        assert_eq!(params.block(1).unwrap(), BlockId::number(7));
        assert!(params.block(2).unwrap().is_hash());
        assert!(params.block(3).unwrap().is_hash());
        assert_eq!(params.block(4).unwrap(), BlockId::number(8));
        assert!(params.block(5).is_err() && params.block(6).is_err());
    }

    #[test]
    fn log_filters_take_one_many_or_no_alternatives() {
        let address = Address::repeat_byte(1);
        let topic = B256::repeat_byte(2);
        let one = filter(&format!(
            r#"{{"address":"{address}","topics":["{topic}",null,["{topic}","{topic}"],["{topic}",null]]}}"#
        ));
        let one = one.unwrap();
        assert_eq!(one.address, [address]);
        assert_eq!(one.topics, [vec![topic], vec![], vec![topic, topic], vec![]]);
        assert!(filter(r#"{"address":null,"topics":null,"fromBlock":"earliest"}"#).unwrap().address.is_empty());
        assert_eq!(filter(&format!(r#"{{"address":["{address}","{address}"]}}"#)).unwrap().address.len(), 2);
        assert!(filter(r#"{"topics":[null,null,null,null,null]}"#)
            .unwrap_err()
            .to_string()
            .contains("exceed max topics"));
        assert!(filter(r#"{"address":"0x12"}"#).unwrap_err().to_string().contains("invalid addresses"));
        assert!(filter(r#"{"topics":["0x12"]}"#).unwrap_err().to_string().contains("invalid topic"));
    }

    #[test]
    fn contradictory_transaction_requests_are_refused() {
        let request = |text: &str| {
            serde_json::from_str::<TransactionRequest>(text)
                .unwrap()
                .into_call(5, 100)
                .map(|call| (call.gas_limit, call.gas_price))
        };
        assert_eq!(request("{}").unwrap(), (100, 0));
        assert_eq!(
            request(r#"{"gas":"0x7","maxFeePerGas":"0x9","maxPriorityFeePerGas":"0x3","chainId":"0x5"}"#).unwrap(),
            (7, 3)
        );
        for text in [
            r#"{"data":"0x01","input":"0x02"}"#,
            r#"{"gasPrice":"0x1","maxFeePerGas":"0x1"}"#,
            r#"{"maxPriorityFeePerGas":"0x2","maxFeePerGas":"0x1"}"#,
            r#"{"chainId":"0x6"}"#,
        ] {
            assert!(request(text).is_err(), "{text}");
        }
    }
}
