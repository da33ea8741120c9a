// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.24;

/// What the tests of JSON-RPC call.
contract Probe {
    event Noted(address indexed by, uint256 indexed key, bytes data);
    event Plain(uint256 value);
    error Custom(uint256 code);

    uint256 public counter;
    mapping(uint256 => uint256) public values;
    Inner inner;

    receive() external payable {}

    function note(uint256 key, bytes calldata data) external {
        counter++;
        emit Noted(msg.sender, key, data);
        emit Plain(key);
    }

    function notes(uint256 count) external {
        for (uint256 key = 0; key < count; key++) emit Plain(key);
    }

    function set(uint256 key, uint256 value) external {
        values[key] = value;
    }

    function setMany(uint256 first, uint256 count, uint256 value) external {
        for (uint256 key = first; key < first + count; key++) values[key] = value;
    }

    function failText() external pure {
        revert("no luck");
    }

    function failCustom() external pure {
        revert Custom(7);
    }

    function failPanic(uint256 zero) external pure returns (uint256) {
        return 1 / zero;
    }

    function burn() external view {
        while (gasleft() > 0) {}
    }

    /// Needs far more gas than it uses: EIP-150 keeps a 64th back at each level.
    function nested(uint256 depth, uint256 least) external {
        if (depth == 0) {
            require(gasleft() >= least, "too little gas");
            counter++;
        } else {
            this.nested(depth - 1, least);
        }
    }

    function environment()
        external
        view
        returns (uint256 number, uint256 timestamp, uint256 chainId, address coinbase, uint256 baseFee, uint256 prevRandao, uint256 gasLimit)
    {
        return (block.number, block.timestamp, block.chainid, block.coinbase, block.basefee, block.prevrandao, block.gaslimit);
    }

    function sender() external view returns (address, uint256, uint256) {
        return (msg.sender, msg.sender.balance, tx.gasprice);
    }

    function hashOf(uint256 number) external view returns (bytes32) {
        return blockhash(number);
    }

    function after_(uint256 timestamp) external view returns (uint256) {
        require(block.timestamp >= timestamp, "too early");
        return block.timestamp;
    }

    function make() external {
        inner = new Inner();
    }
}

contract Inner {
    uint256 public one = 1;
}
