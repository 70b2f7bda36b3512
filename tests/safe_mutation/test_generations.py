from lightning_neuro.safe_mutation.generations import Generations


def test_an_epoch_has_its_length_each_time():
    epochs = Generations(4)
    assert [len(list(epochs)) for _ in range(3)] == [4, 4, 4]


def test_it_goes_on_in_the_midst_of_an_epoch_and_then_begins_anew():
    epochs, resumed = Generations(4), Generations(4)
    steps = iter(epochs)
    for _ in range(3):
        next(steps)
    resumed.load_state_dict(epochs.state_dict())
    assert [len(list(resumed)) for _ in range(2)] == [1, 4]


def test_an_epoch_that_was_done_is_followed_by_a_whole_one():
    epochs, resumed = Generations(4), Generations(4)
    list(epochs)
    resumed.load_state_dict(epochs.state_dict())
    assert len(list(resumed)) == 4
