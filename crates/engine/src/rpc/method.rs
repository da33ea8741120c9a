//! The methods that are served, and how each is executed.

/// How a method is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// At once, on the thread of the connection, unless parameters or answer are large (`methods::is_large`).
    Light,
    /// On the blocking pool, bounded per session so that one session's callers can't starve another's (INVARIANT I5).
    Heavy,
    /// In the connection's task, as it waits for other parts.
    Waiting,
}

macro_rules! methods {
    ($($variant:ident $name:literal $execution:ident)*) => {
        /// A method of the session's namespace; `Host` is any method that Python serves, `Unknown` any other.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Method { $($variant,)* Host, Unknown }

        impl Method {
            pub const ALL: [Method; [$(Method::$variant,)* Method::Host, Method::Unknown].len()] =
                [$(Method::$variant,)* Method::Host, Method::Unknown];

            pub fn parse(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)*
                    _ if name.starts_with("zkcop_") || name.starts_with("rpc.") => Self::Host,
                    _ => Self::Unknown,
                }
            }

            /// Its name in metrics. Names that clients invent share one, so that they can't fill the memory.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $name,)* Self::Host => "zkcop", Self::Unknown => "unknown" }
            }

            pub fn execution(self) -> Execution {
                match self { $(Self::$variant => Execution::$execution,)* Self::Host | Self::Unknown => Execution::Waiting }
            }
        }
    };
}

methods! {
    EthChainId "eth_chainId" Light
    EthBlockNumber "eth_blockNumber" Light
    EthSyncing "eth_syncing" Light
    EthAccounts "eth_accounts" Light
    EthMining "eth_mining" Light
    EthGasPrice "eth_gasPrice" Light
    EthMaxPriorityFeePerGas "eth_maxPriorityFeePerGas" Light
    EthBlobBaseFee "eth_blobBaseFee" Light
    EthFeeHistory "eth_feeHistory" Heavy
    EthGetBalance "eth_getBalance" Light
    EthGetCode "eth_getCode" Light
    EthGetStorageAt "eth_getStorageAt" Light
    EthGetTransactionCount "eth_getTransactionCount" Light
    EthGetProof "eth_getProof" Heavy
    EthGetBlockByNumber "eth_getBlockByNumber" Heavy
    EthGetBlockByHash "eth_getBlockByHash" Heavy
    EthGetHeaderByNumber "eth_getHeaderByNumber" Light
    EthGetHeaderByHash "eth_getHeaderByHash" Light
    EthGetBlockReceipts "eth_getBlockReceipts" Heavy
    EthGetBlockTransactionCountByNumber "eth_getBlockTransactionCountByNumber" Light
    EthGetBlockTransactionCountByHash "eth_getBlockTransactionCountByHash" Light
    EthGetUncleCountByBlockNumber "eth_getUncleCountByBlockNumber" Light
    EthGetUncleCountByBlockHash "eth_getUncleCountByBlockHash" Light
    EthGetUncleByBlockNumberAndIndex "eth_getUncleByBlockNumberAndIndex" Light
    EthGetUncleByBlockHashAndIndex "eth_getUncleByBlockHashAndIndex" Light
    EthGetTransactionByHash "eth_getTransactionByHash" Light
    EthGetTransactionByBlockHashAndIndex "eth_getTransactionByBlockHashAndIndex" Light
    EthGetTransactionByBlockNumberAndIndex "eth_getTransactionByBlockNumberAndIndex" Light
    EthGetRawTransactionByHash "eth_getRawTransactionByHash" Light
    EthGetRawTransactionByBlockHashAndIndex "eth_getRawTransactionByBlockHashAndIndex" Light
    EthGetRawTransactionByBlockNumberAndIndex "eth_getRawTransactionByBlockNumberAndIndex" Light
    EthGetTransactionReceipt "eth_getTransactionReceipt" Light
    EthCall "eth_call" Heavy
    EthEstimateGas "eth_estimateGas" Heavy
    EthCreateAccessList "eth_createAccessList" Heavy
    EthSendRawTransaction "eth_sendRawTransaction" Waiting
    EthSendRawTransactionSync "eth_sendRawTransactionSync" Waiting
    EthGetLogs "eth_getLogs" Heavy
    EthNewFilter "eth_newFilter" Light
    EthNewBlockFilter "eth_newBlockFilter" Light
    EthNewPendingTransactionFilter "eth_newPendingTransactionFilter" Light
    EthGetFilterChanges "eth_getFilterChanges" Heavy
    EthGetFilterLogs "eth_getFilterLogs" Heavy
    EthUninstallFilter "eth_uninstallFilter" Light
    EthSubscribe "eth_subscribe" Waiting
    EthUnsubscribe "eth_unsubscribe" Waiting
    NetVersion "net_version" Light
    NetListening "net_listening" Light
    NetPeerCount "net_peerCount" Light
    Web3ClientVersion "web3_clientVersion" Light
    Web3Sha3 "web3_sha3" Light
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_name() {
        for method in Method::ALL {
            if !matches!(method, Method::Host | Method::Unknown) {
                assert_eq!(Method::parse(method.label()), method);
            }
        }
        assert_eq!(Method::parse("zkcop_anything"), Method::Host);
        assert_eq!(Method::parse("rpc.discover"), Method::Host);
        assert_eq!(Method::parse("personal_sign"), Method::Unknown);
    }
}
