// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev The forge cheatcodes that these tests use.
interface Vm {
  struct Log {
    bytes32[] topics;
    bytes data;
    address emitter;
  }

  function warp(uint256 timestamp) external;
  function prank(address sender) external;
  function startPrank(address sender) external;
  function stopPrank() external;
  function expectRevert() external;
  function expectRevert(bytes calldata data) external;
  function etch(address target, bytes calldata code) external;
  function snapshotState() external returns (uint256 id);
  function revertToState(uint256 id) external returns (bool);
  function recordLogs() external;
  function getRecordedLogs() external returns (Log[] memory);
}

/// @dev Assertions and cheatcodes, without a dependency on a test library.
abstract contract TestBase {
  Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

  error AssertionFailed(string what);
  error NotEqual(string what, uint256 left, uint256 right);

  function assertTrue(bool condition, string memory what) internal pure {
    if (!condition) revert AssertionFailed(what);
  }

  function assertEq(uint256 left, uint256 right, string memory what) internal pure {
    if (left != right) revert NotEqual(what, left, right);
  }

  function assertEq(address left, address right, string memory what) internal pure {
    if (left != right) revert NotEqual(what, uint160(left), uint160(right));
  }

  function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
    return low + (value % (high - low + 1));
  }
}
