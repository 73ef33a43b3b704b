// A market service as C++ programs write it: the synchronous gRPC server, a thread a call, each
// response serialised for each follower. For each line of standard input ticks come, as fast as each
// follower takes them.
//
//     ticks_peer HOST:PORT TICKS PER_RESPONSE FILE_OF_A_TICK
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>

#include "arbig/market/v1/market.grpc.pb.h"

namespace v1 = arbig::market::v1;

class Market final : public v1::MarketService::Service {
 public:
  Market(const v1::Tick& tick, int ticks, int per_response) : tick_(tick), ticks_(ticks), per_response_(per_response) {}

  void NextRound() {
    std::lock_guard lock(mutex_);
    ++round_;
    begins_.notify_all();
  }

  grpc::Status SubscribeTicks(grpc::ServerContext* context, const v1::SubscribeTicksRequest*,
                              grpc::ServerWriter<v1::SubscribeTicksResponse>* writer) override {
    v1::SubscribeTicksResponse response;
    // The end of an empty snapshot: from here on it is live.
    response.mutable_heartbeat();
    writer->Write(response);
    for (int round = 1; WaitFor(round, context); ++round) Send(writer);
    return grpc::Status::OK;
  }

 private:
  bool WaitFor(int round, grpc::ServerContext* context) {
    std::unique_lock lock(mutex_);
    while (round_ < round && !context->IsCancelled()) begins_.wait_for(lock, std::chrono::milliseconds(100));
    return round_ >= round;
  }

  void Send(grpc::ServerWriter<v1::SubscribeTicksResponse>* writer) {
    v1::SubscribeTicksResponse response;
    for (uint64_t seq = tick_.seq(), end = seq + ticks_; seq < end;) {
      response.Clear();
      for (int n = 0; n < per_response_ && seq < end; ++n) {
        auto* tick = response.add_ticks();
        *tick = tick_;
        tick->set_seq(seq++);
      }
      response.mutable_cursor()->set_seq(seq - 1);
      if (!writer->Write(response)) return;
    }
  }

  const v1::Tick tick_;
  const int ticks_, per_response_;
  std::mutex mutex_;
  std::condition_variable begins_;
  int round_ = 0;
};

int main(int, char** arguments) {
  v1::Tick tick;
  std::ifstream file(arguments[4]);
  if (!tick.ParseFromIstream(&file)) return 1;
  Market market(tick, std::stoi(arguments[2]), std::stoi(arguments[3]));
  grpc::ServerBuilder builder;
  builder.AddListeningPort(arguments[1], grpc::InsecureServerCredentials());
  builder.RegisterService(&market);
  const auto server = builder.BuildAndStart();
  if (!server) return 1;
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) market.NextRound();
}
