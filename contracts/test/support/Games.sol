// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IExclaveGame} from "../../src/interfaces/IExclaveGame.sol";
import {IZkRelayer} from "../../src/interfaces/IZkRelayer.sol";

/// @dev A game contract that misbehaves in its callbacks as told.
contract HostileGame is IExclaveGame {
    enum Mode {
        Honest,
        Revert,
        BurnGas,
        ReturnBomb,
        Reenter,
        NeedsGas
    }

    IZkRelayer public immutable relayer;
    Mode public mode;
    bytes public reentry;
    bool public reentrySucceeded;
    uint256 public callbacks;
    uint256 public aborts;
    bytes public lastResult;

    constructor(IZkRelayer relayer_) {
        relayer = relayer_;
    }

    function setMode(Mode mode_, bytes calldata reentry_) external {
        mode = mode_;
        reentry = reentry_;
    }

    /// @notice Whether a reentry succeeded since the last question.
    function takeReentry() external returns (bool succeeded) {
        (succeeded, reentrySucceeded) = (reentrySucceeded, false);
    }

    function onSessionSettled(uint64, bytes calldata result) external {
        lastResult = result;
        _misbehave();
    }

    function onSessionAborted(uint64) external {
        ++aborts;
        _misbehave();
    }

    function _misbehave() private {
        // Of the 200,000 that the tests' terms give.
        if (mode == Mode.NeedsGas) require(gasleft() > 170_000);
        ++callbacks;
        if (mode == Mode.Revert) revert();
        if (mode == Mode.BurnGas) while (true) {}
        if (mode == Mode.ReturnBomb) {
            assembly {
                revert(0, 200000)
            }
        }
        if (mode == Mode.Reenter) {
            (reentrySucceeded,) = address(relayer).call(reentry);
        }
    }
}

/// @dev Does nothing of its own, so that what a session costs can be measured.
contract QuietGame is IExclaveGame {
    /// @notice The gas that the last openSession took, cold access to the relayer included.
    uint256 public gasOfOpening;

    /// @param call The encoded openSession.
    function open(address relayer, bytes calldata call) external returns (uint64) {
        bytes memory data = call;
        uint256 before = gasleft();
        (bool success, bytes memory answer) = relayer.call(data);
        gasOfOpening = before - gasleft();
        require(success);
        return abi.decode(answer, (uint64));
    }

    function onSessionSettled(uint64, bytes calldata) external {}
    function onSessionAborted(uint64) external {}
}

/// @dev Accepts signatures of one owner key (EIP-1271).
contract ContractPlayer {
    address public immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (bytes32 r, bytes32 s, uint8 v) = abi.decode(signature, (bytes32, bytes32, uint8));
        return ecrecover(digest, v, r, s) == owner ? this.isValidSignature.selector : bytes4(0);
    }
}

/// @dev Refuses ether.
contract Refuser {
    function withdrawFrom(address accounts, uint256 amount) external {
        (bool success, bytes memory reason) =
            accounts.call(abi.encodeWithSignature("withdraw(uint256,address)", amount, address(this)));
        if (!success) {
            assembly {
                revert(add(reason, 0x20), mload(reason))
            }
        }
    }
}

/// @dev Withdraws again while it is being paid.
contract ReenteringWithdrawer {
    address public immutable accounts;
    bool public again;
    bool public secondSucceeded;

    constructor(address accounts_) payable {
        accounts = accounts_;
        (bool success,) = accounts_.call{value: msg.value}(abi.encodeWithSignature("deposit()"));
        require(success);
    }

    function attack(uint256 amount) external {
        again = true;
        (bool success,) = accounts.call(abi.encodeWithSignature("withdraw(uint256,address)", amount, address(this)));
        require(success);
    }

    receive() external payable {
        if (!again) return;
        again = false;
        (secondSucceeded,) =
            accounts.call(abi.encodeWithSignature("withdraw(uint256,address)", msg.value, address(this)));
    }
}
