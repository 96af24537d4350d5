import ArgumentParser
import KVMEngine

/// The option that says which processors a guest sees.
enum CPUOption {
  /// Reads `--cpu`'s value.
  static func parse(_ text: String) throws -> CPUModel {
    do throws(CPUModel.Problem) {
      return try CPUModel(text)
    } catch {
      throw ValidationError(error.description)
    }
  }
}
