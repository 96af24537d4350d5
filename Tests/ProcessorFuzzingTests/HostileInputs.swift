/// Inputs of ``HostileMachine`` that once trapped, hung or took too long.
enum HostileInputs {
  static let all: [[UInt8]] = [
    // The shortest one that is no input.
    [UInt8](repeating: 0, count: 28)
  ]
}
