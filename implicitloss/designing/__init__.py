"""The inverse question: which weights reach a target with these counts and draws, at what price, and in which code?"""
